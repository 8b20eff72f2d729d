// Lets Lambda's runtime client start without its native part, which has to be compiled with
// autotools and Node's headers. The client brings the same calls in JavaScript, and takes them
// where AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1 is true; but it loads the native part anyway.
const { Module } = require("node:module");
const load = Module._load;
Module._load = function (request, ...rest) {
  return request === "./rapid-client.node" ? {} : load.call(this, request, ...rest);
};

// Prints what cdk-nag finds in synthesized templates, as JSON:
//   node nag.js <template.json>... → [{template, resource, id, says}]
// cdk-nag 3 checks constructs, not files, so the template is first made into some.
// Called by test/policy, which knows what of it is accepted.
const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks, ServerlessChecks } = require('cdk-nag');

const findings = process.argv.slice(2).flatMap((template) => {
  const app = new App({ analyticsReporting: false });
  new CfnInclude(new Stack(app, 'Stack'), 'Template', { templateFile: template });
  return [new AwsSolutionsChecks(), new ServerlessChecks()]
    .flatMap((pack) => pack.validateScope(app).violations)
    .flatMap((violation) => violation.violatingResources.map(({ constructPath }) => ({
      template,
      resource: constructPath.slice('Stack/Template/'.length), // the logical id
      id: violation.ruleName,
      says: violation.description,
    })));
});
console.log(JSON.stringify(findings));

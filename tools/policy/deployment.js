// Prints what would make a deployment of synthesized templates fail, as JSON:
//   node deployment.js <template.json>... → [{template, resource, id, says}]
// The rules are cdk-preflight's (pf-…), each of them a failure that was seen on AWS, and
// the errors of the validator that the CDK library brings (F…, E…). The package's own way
// in is an app; its plugin is asked here, which takes files. It is not public, so the
// version in package.json is exact.
// Called by test/policy, which knows what of it is accepted.
const { BUNDLED_RULES } = require('cdk-preflight/lib/rules.generated');
const { PreflightEnforcePlugin, loadEngine } = require('cdk-preflight/lib/private/enforce');

if (!loadEngine()) throw new Error('cdk-preflight finds no validator in aws-cdk-lib, so it would find nothing');
const { violations } = new PreflightEnforcePlugin(BUNDLED_RULES, true).validate({
  stackTemplates: process.argv.slice(2).map((templatePath) => ({ templatePath, stackConstructPath: templatePath })),
});
console.log(JSON.stringify(violations.flatMap((violation) => violation.violatingResources.map((found) => ({
  template: found.templatePath,
  resource: found.resourceLogicalId ?? 'the template',
  id: violation.ruleName,
  says: violation.description,
})))));

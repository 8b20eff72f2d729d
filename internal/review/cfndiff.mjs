// What CloudFormation does with each resource that differs between two templates, by the CDK's own
// diff engine (@aws-cdk/cloudformation-diff, which cdk diff uses). engine.go runs it.
//
// It reads one pair of templates a line, {"old": …, "new": …}, and writes one line for each:
// {"<logical id>": {"impact": "WILL_REPLACE", "properties": {"<property>": "WILL_REPLACE"}}}.
import { createInterface } from 'node:readline';
import { fullDiff } from '@aws-cdk/cloudformation-diff';
import { diffResource } from '@aws-cdk/cloudformation-diff/lib/diff/index.js';

// The whole diff also reads policies, and fails on one that is not whole. Resource by resource it
// does not, and does not see either that what refers to a replaced one may be replaced as well.
function changes(before, after) {
  try {
    return fullDiff(before, after).resources.changes;
  } catch {
    const found = {};
    for (const id of new Set([...Object.keys(before.Resources ?? {}), ...Object.keys(after.Resources ?? {})])) {
      found[id] = diffResource(before.Resources?.[id], after.Resources?.[id], id);
    }
    return found;
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const pair = JSON.parse(line);
  const found = {};
  for (const [id, change] of Object.entries(changes(pair.old, pair.new))) {
    const properties = {};
    for (const [name, property] of Object.entries(change.propertyUpdates)) {
      properties[name] = property.changeImpact;
    }
    found[id] = { impact: change.changeImpact, properties };
  }
  process.stdout.write(JSON.stringify(found) + '\n');
}

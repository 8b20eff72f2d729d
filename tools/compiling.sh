#!/usr/bin/env bash
# Says that the CDK app's first compilation takes its time, when it is the first: Go
# knows whether it has the CDK library in its cache.
cd "$(dirname "$0")/.." || exit 1
if [ "$(go list -f '{{.Stale}}' github.com/aws/aws-cdk-go/awscdk/v2)" = true ]; then
  echo "go: the CDK app is compiled; the first time that takes 2 to 4 minutes"
fi

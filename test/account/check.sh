#!/usr/bin/env bash
# Looks at what only a real AWS account can show (docs/reliability.md, "What only an
# account can show"). It breaks a deployed stage on purpose, says what it saw, and
# repairs it again; the stage's page alarms will ring. Never prod.
#
#   STAGE=dev test/account/check.sh
#
# Needs: the stage deployed with a stored secret, the AWS command line with credentials
# that may change the function, the API, the key and read metrics; curl; Go. About 15
# minutes, most of it waiting for SQS to forget its data key and for CloudWatch.
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${STAGE:?name a stage, as in: STAGE=dev $0}"
[ "$STAGE" != prod ] || { echo "not on prod: this breaks the stage on purpose" >&2; exit 2; }
stack=NylasWebhooks-$STAGE
failed=0

resource() { # type, beginning of the logical id
  aws cloudformation list-stack-resources --stack-name "$stack" \
    --query "StackResourceSummaries[?ResourceType=='$1' && starts_with(LogicalResourceId, '$2')].PhysicalResourceId | [0]" --output text
}
output() {
  aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue | [0]" --output text
}
saw() { # what, wanted, got
  if [ "$2" = "$3" ]; then echo "ok     $1: $3"; else echo "WRONG  $1: $3, want $2"; failed=1; fi
}
post() { # curl's further arguments; prints the status: unsigned, so a function that works answers 401
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 --request POST \
    --header 'Content-Type: application/json' "$@" "$url"
}
until_is() { # wanted, seconds, command: runs it until it prints that
  local want=$1 end=$((SECONDS + $2)) got
  shift 2
  while got=$("$@") && [ "$got" != "$want" ] && [ $SECONDS -lt $end ]; do sleep 5; done
  echo "$got"
}
repairs=()
repair() { for ((i = ${#repairs[@]} - 1; i >= 0; i--)); do eval "${repairs[i]}" >/dev/null || echo "NOT REPAIRED: ${repairs[i]}" >&2; done; repairs=(); }
trap repair EXIT

url=$(output WebhookUrl) bucket=$(output BucketName)
function=$(resource AWS::Lambda::Function Receiver) api=$(resource AWS::ApiGateway::RestApi Endpoint) key=$(resource AWS::KMS::Key Key)
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)

echo "== a signed notification is accepted"
go run ./cmd/hookctl send message_created --stage "$STAGE" >/dev/null && sent=200 || sent="not 200"
saw "hookctl send" 200 "$sent"

echo "== Lambda refuses to run the function"
repairs+=("aws lambda delete-function-concurrency --function-name $function")
aws lambda put-function-concurrency --function-name "$function" --reserved-concurrent-executions 0 >/dev/null
saw "no concurrency" 503 "$(until_is 503 60 post --data '{}')"
repair

echo "== the function ends before it answers"
live=$(aws lambda get-alias --function-name "$function" --name live --query FunctionVersion --output text)
variables=$(aws lambda get-function-configuration --function-name "$function" --query Environment --output json)
repairs+=("aws lambda update-function-configuration --function-name $function --environment '$variables'")
repairs+=("aws lambda update-alias --function-name $function --name live --function-version $live")
aws lambda update-function-configuration --function-name "$function" --environment 'Variables={}' >/dev/null
aws lambda wait function-updated-v2 --function-name "$function"
broken=$(aws lambda publish-version --function-name "$function" --description "broken by check.sh" --query Version --output text)
aws lambda update-alias --function-name "$function" --name live --function-version "$broken" >/dev/null
saw "a crash" 503 "$(until_is 503 60 post --data '{}')"
repair
aws lambda delete-function --function-name "$function" --qualifier "$broken"

echo "== the throttle"
throttle() { # rate, burst
  aws apigateway update-stage --rest-api-id "$api" --stage-name "$STAGE" --patch-operations \
    "op=replace,path=/*/*/throttling/rateLimit,value=$1" "op=replace,path=/*/*/throttling/burstLimit,value=$2"
}
settings=$(aws apigateway get-stage --rest-api-id "$api" --stage-name "$STAGE" --query 'methodSettings."*/*".[throttlingRateLimit,throttlingBurstLimit]' --output text)
repairs+=("throttle $settings")
throttle 1 1 >/dev/null
throttled() {
  seq 20 | xargs -P 20 -I{} curl --silent --output /dev/null --write-out '%{http_code} %header{retry-after}\n' --request POST --data '{}' "$url" | grep '^429' | sort -u | head -1
}
saw "20 at once against 1 a second" "429 60" "$(until_is '429 60' 120 throttled)"
repair

echo "== large bodies"
saw "7 MB" 413-or-503 "$(head -c 7000000 /dev/zero | post --data-binary @- | sed 's/^\(413\|503\)$/413-or-503/')"
saw "11 MB" 413 "$(head -c 11000000 /dev/zero | post --data-binary @-)"

echo "== the queue's key is disabled (SQS keeps using its data key for up to 5 minutes)"
if [ "$key" = None ]; then
  echo "       $STAGE has no key of its own; look at this on staging"
else
  repairs+=("aws kms enable-key --key-id $key")
  aws kms disable-key --key-id "$key"
  spilled() {
    go run ./cmd/hookctl send message_created --stage "$STAGE" >/dev/null || { echo "not 200"; return; }
    [ "$(aws s3api list-objects-v2 --bucket "$bucket" --prefix spill/ --query 'length(Contents || `[]`)' --output text)" = 0 ] && echo "on the queue" || echo "in the bucket"
  }
  saw "a notification while the key is disabled" "in the bucket" "$(until_is 'in the bucket' 420 spilled)"
  repair
  echo "       replay it: go run ./cmd/hookctl spill replay --stage $STAGE"
fi

echo "== metrics, from log lines and from the access log"
metric() {
  aws cloudwatch get-metric-statistics --namespace NylasWebhooks --metric-name "$1" --dimensions "Name=Stage,Value=$STAGE" \
    --statistics Sum --period 3600 --start-time "$since" --end-time "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --query 'length(Datapoints) > `0`' --output text
}
saw "Accepted has datapoints" True "$(until_is True 300 metric Accepted)"
saw "GatewayFaults has datapoints" True "$(until_is True 300 metric GatewayFaults)"

echo "== an alarm reaches a person"
aws cloudwatch set-alarm-state --alarm-name "$stack-ReceiverErrors" --state-value ALARM --state-reason "check.sh looks whether anybody hears this"
echo "       $stack-ReceiverErrors was set to ALARM: did the page arrive? It goes back by itself."

exit $failed

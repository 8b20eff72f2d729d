#!/usr/bin/env bash
# Looks at what only a real AWS account can show (docs/reliability.md, "What only an
# account can show"). It breaks a deployed stage, says what it saw, and repairs what it
# broke, also when it is interrupted. The stage's page alarms ring meanwhile. Never prod.
#
#   STAGE=staging test/account/check.sh
#
# Needs: the stage deployed with a stored secret; the AWS command line 2 with credentials
# that may change the function, the API, the key and the alarms' state, make a queue, and
# read logs and metrics; curl; Go. About 20 minutes, most of it waiting for SQS and SNS to
# forget their data keys and for CloudWatch. The stage should have a key of its own, as
# staging has.
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${STAGE:?name a stage, as in: STAGE=staging $0}"
case $STAGE in
  *[Pp][Rr][Oo][Dd]*) echo "check: not on $STAGE: this breaks the stage" >&2; exit 2 ;;
esac
stack=NylasWebhooks-$STAGE
work=$(mktemp -d)
failed=0

# What was changed, as the names of functions that change it back, the last first. Each is
# noted before the change and may run twice.
repairs=()
repair() {
  while [ ${#repairs[@]} -gt 0 ]; do
    local last=$((${#repairs[@]} - 1))
    if ! "${repairs[last]}" >/dev/null; then
      echo "check: NOT REPAIRED: ${repairs[last]} (see $0); make deploy STAGE=$STAGE sets the stage right" >&2
      failed=1
    fi
    unset "repairs[last]"
  done
}
leave() {
  local status=$?
  trap '' INT TERM HUP # a second Ctrl-C does not end the repair
  repair
  rm -rf "$work"
  [ $failed = 0 ] || [ $status != 0 ] || status=1
  exit $status
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

resource() { # type, beginning of the logical id
  aws cloudformation list-stack-resources --stack-name "$stack" \
    --query "StackResourceSummaries[?ResourceType=='$1' && starts_with(LogicalResourceId, '$2')].PhysicalResourceId | [0]" --output text | head -1
}
output() {
  aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue | [0]" --output text
}
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
saw() { # what, wanted, got
  if [ "$2" = "$3" ]; then echo "ok     $1: $3"; else echo "WRONG  $1: $3, want $2"; failed=1; fi
}
post() { # curl's further arguments; prints the status: unsigned, so a function that works answers 401
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 60 --request POST \
    --header 'Content-Type: application/json' "$@" "$url" || true # a connection that ends is status 000
}
until_is() { # wanted, seconds, command: runs it until it prints that
  local want=$1 seconds=$2 got=
  shift 2
  while got=$("$@") && [ "$got" != "$want" ] && [ "$seconds" -gt 0 ]; do
    sleep 5
    seconds=$((seconds - 5))
  done
  echo "$got"
}
send() { # hookctl send's further arguments; prints 200 or what else it was
  if go run ./cmd/hookctl send --stage "$STAGE" "$@" >/dev/null; then echo 200; else echo "not 200"; fi
}
outcome() { # notification id; prints what the receiver's log says became of it
  aws logs filter-log-events --log-group-name "$logs" --start-time "$began" --filter-pattern "{ \$.notification_id = \"$1\" }" \
    --query 'events[].message' --output text | sed -n 's/.*"outcome":"\([A-Za-z]*\)".*/\1/p' | tail -1
}
sum() { # metric, from, to; prints its sum, 0 where there is no datapoint
  aws cloudwatch get-metric-statistics --namespace NylasWebhooks --metric-name "$1" --dimensions "Name=Stage,Value=$STAGE" \
    --statistics Sum --period 60 --start-time "$2" --end-time "$3" --query 'sum(Datapoints[].Sum)' --output text | sed 's/\.0*$//'
}
counted() { # metric; prints whether it has counted anything since the beginning
  if [ "$(sum "$1" "$since" "$(now)")" = 0 ]; then echo no; else echo yes; fi
}

url=$(output WebhookUrl) bucket=$(output BucketName)
if [ -z "$url" ] || [ "$url" = None ]; then
  echo "check: $stack has no output WebhookUrl: deploy the stage first, make deploy STAGE=$STAGE" >&2
  exit 2
fi
function=$(resource AWS::Lambda::Function Receiver) logs=$(resource AWS::Logs::LogGroup ReceiverLogs)
api=$(resource AWS::ApiGateway::RestApi Endpoint) key=$(resource AWS::KMS::Key Key)
echo "This breaks $stack in account $(aws sts get-caller-identity --query Account --output text) for about 20 minutes, and pages."
printf "Type the stage's name to go on: "
read -r typed
[ "$typed" = "$STAGE" ] || { echo "check: that is not $STAGE; nothing was changed" >&2; exit 2; }
since=$(now) began=$(($(date +%s) * 1000))

echo "== a signed notification is accepted"
saw "hookctl send" 200 "$(send message_created)"

echo "== TLS"
tls11() { # asks with TLS 1.1 as the newest; only the server's own alert counts, this machine may refuse it too
  local said
  said=$(curl --silent --show-error --output /dev/null --max-time 60 --tlsv1.0 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "$url" 2>&1) || true
  case $said in *"alert protocol version"*) echo "refused by the gateway" ;; *) echo "not refused by the gateway" ;; esac
}
saw "TLS 1.1" "refused by the gateway" "$(tls11)"
saw "TLS 1.2, unsigned" 401 "$(post --tls-max 1.2 --data '{}')"

echo "== strangers' bodies: none may count as a fault of the gateway, which pages"
strangers=$(now)
class() { sed 's/^4..$/4xx/; s/^5..$/5xx/'; }
saw "says gzip and is garbage" 4xx "$(post --header 'Content-Encoding: gzip' --data 'garbage' | class)"
printf 'a body' | gzip | head -c 12 >"$work/cut.gz"
saw "says gzip and breaks off" 4xx "$(post --header 'Content-Encoding: gzip' --data-binary "@$work/cut.gz" | class)"
large() { head -c "$1" /dev/zero | post --data-binary @-; }
saw "4 MB, which the function takes" 401 "$(large 4000000)"
for bytes in 5000000 6500000 8000000 9900000; do # beyond Lambda's 6 MB, as base64, and within the gateway's 10 MB
  saw "$bytes bytes" 413-or-503 "$(large "$bytes" | sed 's/^\(413\|503\)$/413-or-503/')"
done
saw "11 MB" 413 "$(large 11000000)"
sleep $((61 - 10#$(date +%S))) # so that what is broken next falls into another minute
strangers_end=$(now)

echo "== SQS's limit on a request: quotes double on the wire"
queue_name=NylasWebhooks-check-$$
delete_queue() {
  local there
  there=$(aws sqs get-queue-url --queue-name "$queue_name" --query QueueUrl --output text 2>/dev/null) || return 0 # it was not made yet
  aws sqs delete-queue --queue-url "$there"
}
repairs+=(delete_queue)
queue=$(aws sqs create-queue --queue-name "$queue_name" --query QueueUrl --output text)
quotes() { head -c "$1" /dev/zero | tr '\0' '"'; }
quotes 900000 >"$work/quotes"
direct() {
  if aws sqs send-message --queue-url "$queue" --message-body "file://$work/quotes" >/dev/null 2>"$work/error"; then
    echo taken
  elif grep -q '413\|content length exceeded' "$work/error"; then
    echo 413
  else
    cat "$work/error"
  fi
}
saw "a message of 900,000 quotes" 413 "$(direct)"
repair
id=check-$$-$(date +%s)
# Of a type that consumers drop.
{ printf '{"specversion":"1.0","type":"smoke.test","id":"%s","data":{"object":{"text":"' "$id"; quotes 450000 | sed 's/"/\\"/g'; printf '"}}}'; } >"$work/quotes.json"
saw "a notification with 450,000 quotes" 200 "$(send --file "$work/quotes.json")"
saw "what became of it" Accepted "$(until_is Accepted 120 outcome "$id")"

echo "== Lambda refuses to run the function"
reserved=$(aws lambda get-function-concurrency --function-name "$function" --query ReservedConcurrentExecutions --output text)
set_concurrency() { aws lambda put-function-concurrency --function-name "$function" --reserved-concurrent-executions "$1"; }
restore_concurrency() {
  if [ -z "$reserved" ] || [ "$reserved" = None ]; then
    aws lambda delete-function-concurrency --function-name "$function"
  else
    set_concurrency "$reserved"
  fi
}
repairs+=(restore_concurrency)
set_concurrency 0 >/dev/null
saw "no concurrency" 503 "$(until_is 503 60 post --data '{}')"
repair

echo "== the function ends before it answers"
live=$(aws lambda get-alias --function-name "$function" --name live --query FunctionVersion --output text)
variables=$(aws lambda get-function-configuration --function-name "$function" --query Environment --output json)
set_variables() {
  aws lambda update-function-configuration --function-name "$function" --environment "$1" &&
    aws lambda wait function-updated-v2 --function-name "$function"
}
point_live_to() { aws lambda update-alias --function-name "$function" --name live --function-version "$1"; }
restore_variables() {
  aws lambda wait function-updated-v2 --function-name "$function" # the change may be under way
  set_variables "$variables"
}
restore_live() { point_live_to "$live"; }
broken_by="broken by check.sh"
delete_broken() { # those that an earlier check left behind when it was killed, too
  local version
  for version in $(aws lambda list-versions-by-function --function-name "$function" --query "Versions[?Description=='$broken_by'].Version" --output text); do
    aws lambda delete-function --function-name "$function" --qualifier "$version" || return 1
  done
}
repairs+=(delete_broken restore_variables restore_live) # a version that an alias names cannot be deleted
set_variables 'Variables={}' >/dev/null
broken=$(aws lambda publish-version --function-name "$function" --description "$broken_by" --query Version --output text)
point_live_to "$broken" >/dev/null
saw "a crash" 503 "$(until_is 503 60 post --data '{}')"
repair

echo "== the throttle"
set_throttle() { # rate, burst
  aws apigateway update-stage --rest-api-id "$api" --stage-name "$STAGE" --patch-operations \
    "op=replace,path=/*/*/throttling/rateLimit,value=$1" "op=replace,path=/*/*/throttling/burstLimit,value=$2"
}
read -r rate burst <<<"$(aws apigateway get-stage --rest-api-id "$api" --stage-name "$STAGE" --query 'methodSettings."*/*".[throttlingRateLimit,throttlingBurstLimit]' --output text)"
restore_throttle() { set_throttle "$rate" "$burst"; }
repairs+=(restore_throttle)
set_throttle 1 1 >/dev/null
throttled() {
  seq 20 | xargs -P 20 -I{} curl --silent --output /dev/null --write-out '%{http_code} %header{retry-after}\n' --request POST --data '{}' "$url" |
    sed -n '/^429/p' | sort -u | head -1
}
saw "20 at once against 1 a second" "429 60" "$(until_is '429 60' 120 throttled)"
repair

echo "== the queue's key is disabled (SQS and SNS keep using their data keys for up to 5 minutes)"
if [ "$key" = None ]; then
  echo "       $STAGE has no key of its own; look at this on staging"
else
  objects() { aws s3api list-objects-v2 --bucket "$bucket" --prefix spill/ --query 'Contents[].Key' --output text | tr '\t' '\n' | sort; }
  objects >"$work/before" # what lies there from earlier says nothing
  restore_key() { aws kms enable-key --key-id "$key"; }
  repairs+=(restore_key)
  aws kms disable-key --key-id "$key"
  spilled() {
    [ "$(send message_created)" = 200 ] || { echo "not 200"; return; }
    if objects | comm -13 "$work/before" - | grep -q .; then echo "in the bucket"; else echo "on the queue"; fi
  }
  saw "a notification while the key is disabled" "in the bucket" "$(until_is 'in the bucket' 420 spilled)"
  sleep 330 # until SNS has forgotten its data key, too
  told() { # alarm, since; prints what CloudWatch says of telling its topic
    aws cloudwatch describe-alarm-history --alarm-name "$1" --history-item-type Action --start-date "$2" --scan-by TimestampDescending \
      --query 'AlarmHistoryItems[0].HistorySummary' --output text | sed 's/^\(Successfully\|Failed\) .*/\1/'
  }
  for role in ReceiverErrors Spilled; do # one that pages, one that files a ticket
    at=$(now)
    for state in OK ALARM; do
      aws cloudwatch set-alarm-state --alarm-name "$stack-$role" --state-value "$state" --state-reason "check.sh looks whether this is heard while the key is disabled"
    done
    saw "the alarm $role tells its topic meanwhile" Successfully "$(until_is Successfully 120 told "$stack-$role" "$at")"
  done
  repair
  echo "       replay it: go run ./cmd/hookctl spill replay --stage $STAGE"
fi

echo "== metrics, from log lines and from the access log"
saw "Accepted has counted" yes "$(until_is yes 300 counted Accepted)"
saw "GatewayFaults has counted what was broken" yes "$(until_is yes 300 counted GatewayFaults)"
saw "GatewayFaults of the strangers' bodies" 0 "$(sum GatewayFaults "$strangers" "$strangers_end")"

echo "== an alarm reaches a person"
aws cloudwatch set-alarm-state --alarm-name "$stack-ReceiverErrors" --state-value ALARM --state-reason "check.sh looks whether anybody hears this"
echo "       $stack-ReceiverErrors was set to ALARM: did the page arrive? It goes back by itself."

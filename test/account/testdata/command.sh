#!/usr/bin/env bash
# Plays aws, curl, go and sleep to check.sh, by the name it is called by. What the script
# changes are files in $STATE; $INTERRUPT is the call after which Ctrl-C is pressed.
set -u
cd "$STATE" || exit 1
name=$(basename "$0")
all="$name $*"
arg() { # the value after an option
  local previous=
  for a in "${arguments[@]}"; do
    [ "$previous" = "$1" ] && echo "$a" && return
    previous=$a
  done
}
arguments=("$@")
case $name in
  sleep) exit 0 ;;
  go) exit 0 ;; # hookctl send: 200
  curl)
    case $all in
      *tls-max\ 1.1*) echo "curl: (35) TLS connect error: tlsv1 alert protocol version" >&2; exit 35 ;;
      *Content-Encoding*) printf 400 ;;
      *header*retry*) echo "429 60" ;;
      *data-binary*)
        n=$(wc -c)
        if [ "$n" -gt 10485760 ]; then printf 413; elif [ "$n" -gt 4500000 ]; then printf 503; else printf 401; fi
        ;;
      *) if [ "$(cat concurrency)" = 0 ] || [ "$(cat live)" != 7 ]; then printf 503; else printf 401; fi ;;
    esac
    exit 0
    ;;
esac
case "$1 $2" in
  "cloudformation list-stack-resources")
    case $all in *KMS*) echo key ;; *) echo resource ;; esac ;;
  "cloudformation describe-stacks") echo something ;;
  "sts get-caller-identity") echo 123456789012 ;;
  "logs filter-log-events") echo '{"outcome":"Accepted"}' ;;
  "cloudwatch get-metric-statistics") # what was broken counts, strangers do not
    case $all in
      *GatewayFaults*) if [ -f asked ]; then echo 0.0; else touch asked && echo 3.0; fi ;;
      *) echo 3.0 ;;
    esac ;;
  "cloudwatch describe-alarm-history") echo "Successfully executed action arn:aws:sns:x" ;;
  "cloudwatch set-alarm-state") ;;
  "sqs get-queue-url") [ -f queue ] && echo url ;;
  "sqs create-queue") touch queue; echo url ;;
  "sqs delete-queue") rm queue ;;
  "sqs send-message") echo "HTTP content length exceeded 1662976 bytes." >&2; exit 1 ;;
  "lambda get-function-concurrency") cat concurrency ;;
  "lambda put-function-concurrency") arg --reserved-concurrent-executions >concurrency ;;
  "lambda delete-function-concurrency") echo None >concurrency ;;
  "lambda get-alias") cat live ;;
  "lambda update-alias") arg --function-version >live ;;
  "lambda get-function-configuration") cat variables ;;
  "lambda update-function-configuration") arg --environment >variables ;;
  "lambda wait") ;;
  "lambda publish-version") touch version-8; echo 8 ;;
  "lambda list-versions-by-function") [ -f version-8 ] && echo 8 ;;
  "lambda delete-function") rm "version-$(arg --qualifier)" ;;
  "apigateway get-stage") cat throttle ;;
  "apigateway update-stage")
    rate=${all#*rateLimit,value=} burst=${all#*burstLimit,value=}
    printf '%s\t%s\n' "${rate%% *}" "${burst%% *}" >throttle ;;
  "kms disable-key") echo disabled >key ;;
  "kms enable-key") echo enabled >key ;;
  "s3api list-objects-v2")
    printf 'spill/old'
    [ "$(cat key)" = disabled ] && [ -z "${ONLY_OLD:-}" ] && printf '\tspill/new'
    echo ;;
  *) echo "$all is not played here" >&2; exit 1 ;;
esac
status=$?
if [ "${INTERRUPT:-}" = "$1 $2" ] && [ ! -f interrupted ]; then
  touch interrupted
  kill -INT 0 # the whole foreground, as a terminal does
fi
exit $status

#!/usr/bin/env bash
# Runs the make targets it is given, all of them even when one fails, and ends with
# a summary. `make test` calls it. The Go targets leave their results in
# .local/test/<target>.json (the format of go test -json); a target without one,
# as lint, counts as one.
set -u
cd "$(dirname "$0")/.." || exit 1
rm -rf .local/test
trap 'exit 130' INT # Ctrl-C ends all of it, not one target

passed=0 failed=0 broken=()
for target in "$@"; do
  printf '\n== make %s\n' "$target"
  SECONDS=0
  make "$target" </dev/null
  status=$?
  results=.local/test/$target.json
  good=0 bad=0
  if [ -f "$results" ]; then
    good=$(grep -c '"Action":"pass".*"Test":' "$results")
    bad=$(grep -c '"Action":"fail".*"Test":' "$results")
  elif [ $status = 0 ]; then
    good=1
  fi
  # A target can also fail without a failed test: it did not build, ran no test, or ran out of time.
  if [ $status = 0 ] && [ "$good" = 0 ]; then
    echo "make $target ran no test." >&2
    status=1
  fi
  [ $status != 0 ] && [ "$bad" = 0 ] && bad=1
  [ $status != 0 ] && broken+=("$target")
  printf '== make %s: %s, %d s\n' "$target" "$([ $status = 0 ] && echo ok || echo FAILED)" "$SECONDS"
  passed=$((passed + good)) failed=$((failed + bad))
done

echo
for target in ${broken[@]+"${broken[@]}"}; do
  echo "make $target failed. What failed stands above; run it alone with: make $target"
done
echo "$passed passed, $failed failed"
[ ${#broken[@]} = 0 ]

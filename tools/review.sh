#!/usr/bin/env bash
# Says what the commits since a base mean for the templates: synthesizes the base, which is kept
# by its commit, and what is here, and asks stackgate. `make review` calls it.
#
#   tools/review.sh [base]    the base is the merge base with main, or the commit that is named
#
# REVIEW_FORMAT and REVIEW_OUT say how and where it is written (text, standard output).
set -euo pipefail
cd "$(dirname "$0")/.."

# The CDK CLI's lines of success are of no interest here; all that it says is, where it fails.
quietly() {
  local said
  said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

main=main
git rev-parse --verify --quiet origin/main >/dev/null && main=origin/main
if ! base=$(git rev-parse --verify --quiet "${1:-$(git merge-base "$main" HEAD 2>/dev/null)}^{commit}"); then
  echo "review: there is no base to compare with. Fetch the history (git fetch --unshallow origin), or name a commit: make review BASE=..." >&2
  exit 1
fi
kept=.local/review/$base
if [ ! -f "$kept/manifest.json" ]; then
  echo "review: synthesizing the base, $(git log -1 --format='%h %s' "$base")" >&2
  source=$(mktemp -d)
  trap 'rm -rf "$source"' EXIT
  git archive "$base" | tar -x -C "$source"
  rm -rf "$kept"
  # Its own app, by its own cdk.json, with the CDK CLI that is here.
  (cd "$source" && quietly cdk synth --quiet --output "$OLDPWD/$kept.part")
  mv "$kept.part" "$kept"
fi
echo "review: synthesizing what is here" >&2
rm -rf .local/review/head
quietly cdk synth --quiet --output .local/review/head
go build -o .local/review/stackgate ./cmd/stackgate
.local/review/stackgate -format "${REVIEW_FORMAT:-text}" "$kept" .local/review/head >"${REVIEW_OUT:-/dev/stdout}"

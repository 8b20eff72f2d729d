#!/usr/bin/env bash
# Writes the licences of everything that is compiled into a release's programs into a folder, as
# NOTICES. Fails where a module brings none.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
mkdir -p "$out"

modules=$(for target in linux/amd64 darwin/arm64 windows/amd64; do
  GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if .Version}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/... ./lambda/receiver
done | sort -u)
{
  echo "nylas-webhooks is under the licence in LICENSE. Its programs contain the Go standard library"
  echo "and these modules, each under its own licence."
  printf '\n\n== Go standard library, %s\n\n' "$(go env GOVERSION)"
  cat "$(go env GOROOT)/LICENSE"
  while read -r path version dir; do
    printf '\n\n== %s %s\n' "$path" "$version"
    found=$(find "$dir" -maxdepth 1 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) | LC_ALL=C sort)
    [ -n "$found" ] || { echo "notices: $path $version has no licence file in $dir" >&2; exit 1; }
    while read -r file; do printf '\n' && cat "$file"; done <<<"$found"
  done <<<"$modules"
} >"$out/NOTICES"

#!/usr/bin/env bash
# Looks whether this machine has what make needs, before anything is installed.
# Each thing missing is one sentence that says what to do; all are said at once.
# `preflight.sh race` also asks for what `go test -race` needs, `preflight.sh engine`
# for what the local engine needs.
set -u
cd "$(dirname "$0")/.." || exit 1

missing=0
need() { printf 'make: %s\n' "$1" >&2; missing=1; }

if [ "${1:-}" = engine ] && [ "$(uname -s)" != Linux ]; then
  need "this is $(uname -s), and the local engine runs the function's Linux binary as a process. Use Linux, WSL2 or a virtual machine for it. What works here: make synth, diff, deploy, destroy, lint, unit, stack; to try the whole, make deploy STAGE=dev."
fi

if ! command -v go >/dev/null; then
  need 'Go is missing. Install Go 1.26 or newer (https://go.dev/dl) and put it on PATH.'
elif ! said=$(go env GOVERSION 2>&1); then
  # An older go fetches the toolchain that go.mod names, unless GOTOOLCHAIN=local or there is no network.
  need "Go does not fit: ${said##*go: }. Install Go 1.26 or newer (https://go.dev/dl), or unset GOTOOLCHAIN so that go fetches it."
fi

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  need 'Node or npm is missing. Install Node 18 or newer with npm (https://nodejs.org); it only installs the pinned tools.'
elif ! node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)'; then
  need "Node $(node --version) is too old to run npm for the pinned tools. Install Node 18 or newer (https://nodejs.org)."
fi

if ! command -v python3 >/dev/null; then
  need 'Python is missing. Install Python 3.11 or newer as python3; the local engine and the linters run on it.'
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  need "$(python3 --version 2>&1) is too old. Install Python 3.11 or newer as python3; the local engine and the linters run on it."
elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  need 'Python has no venv module. Install it (Debian, Ubuntu: apt install python3-venv).'
fi

if [ "${1:-}" = race ] && [ "$missing" = 0 ] && ! command -v "$(go env CC)" >/dev/null; then
  need "no C compiler ($(go env CC)). Go's race detector needs one (Debian, Ubuntu: apt install gcc libc6-dev)."
fi

exit "$missing"

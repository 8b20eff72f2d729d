# Everything that people and CI do here, by name. `make` lists it.

# Runs on GNU make 3.81 and bash 3.2, which macOS has, too. There .SHELLFLAGS does nothing
# (make 3.82 is the first that knows it), so no recipe line relies on it: what must not go
# on after a failure is joined by && or is a line of its own.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.NOTPARALLEL: # targets share one engine and one cdk.out

# The pinned CDK CLI and its Node come before what the machine has.
export PATH := $(CURDIR)/tools/node_modules/.bin:$(PATH)
# The CDK's own validator takes most of a synthesis, and what it finds does not change between
# two runs: make policy runs it, nothing else.
export CDK_VALIDATION := false
export CDK_DISABLE_CLI_TELEMETRY := true # bootstrap runs where cdk.json, which says the same, is not read

# Settings of the user or of a folder above that would build something else than this checkout.
export GOWORK := off
export GOFLAGS := $(filter-out -mod=%,$(GOFLAGS)) -mod=readonly
# Where HOME is missing or cannot be written to, as in some CI containers, a folder here takes
# its place, because Go, npm, pip and the CDK keep their caches in it. AWS profiles are still
# read from the old one.
ifneq ($(shell [ -n "$$HOME" ] && [ -w "$$HOME" ] && echo writable),writable)
home := $(HOME)
export AWS_CONFIG_FILE ?= $(home)/.aws/config
export AWS_SHARED_CREDENTIALS_FILE ?= $(home)/.aws/credentials
export HOME := $(CURDIR)/.local/home
export CDK_HOME := $(HOME)/.cdk
endif

# What is installed, each beside the lock file that it comes from. Installed again
# only when that file changes.
NODE   := tools/node_modules/.package-lock.json
ENGINE := .local/venv/engine/.installed
LINT   := .local/venv/lint/.installed
SDKS   := test/nylas/node_modules/.package-lock.json .local/venv/nylas/.installed
EXTENDED := .local/venv/extended/.installed
BENCH  := test/bench/peers/node/node_modules/.package-lock.json .local/venv/bench/.installed
POLICY := tools/policy/node_modules/.package-lock.json .local/venv/policy/.installed
GOTOOL := go tool -modfile=tools/go.mod

outputs := .local/run/outputs.json
local   := NylasWebhooks-local
# Runs the program that follows so that it can reach the local engine and no AWS account, or
# does not run it.
on_engine = python3 tools/engine.py exec --outputs $(outputs) --

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run it here

.PHONY: run
run: linux $(NODE) $(ENGINE) compiling ## deploy to a local engine and play Nylas against it
	@.local/venv/engine/bin/python tools/engine.py start --outputs $(outputs)
	@mkdir -p $(dir $(outputs))
# Bootstrapping needs no app, and where no cdk.json is none is built. What is deployed is bootstrapped.
	@[ -f $(outputs) ] || { echo "cdk: bootstrap"; \
		$(on_engine) sh -c 'cd $(dir $(outputs)) && cdk bootstrap aws://000000000000/us-east-1 --no-notices'; }
# An assembly of its own, so that a run and another target's synth are not in each other's way.
	@echo "cdk: deploy $(local)"; \
		$(on_engine) cdk deploy $(local) --output $(dir $(outputs))cdk.out --require-approval never --outputs-file $(outputs)
	@echo "hookworker: build"; go build -o .local/run/hookworker ./cmd/hookworker
	@$(on_engine) go run ./cmd/hookctl demo --stage local --worker .local/run/hookworker

.PHONY: env
# On every failure the last word is false, because a shell's eval of nothing succeeds.
env: ## print shell exports that point AWS clients at the local engine: eval "$(make -s env)"
	@python3 tools/engine.py env --outputs $(outputs) || { echo false; exit 1; }

.PHONY: stop
stop: ## stop the local engine
	@python3 tools/engine.py stop

.PHONY: clean
clean: ## stop the engine and remove all that make has made
	@for record in $$(find .local -name engine.json 2>/dev/null); do python3 tools/engine.py stop --state "$$(dirname "$$record")"; done
	@rm -rf .local cdk.out bin tools/node_modules tools/policy/node_modules test/nylas/node_modules test/bench/peers/node/node_modules

##@ Deploy it

.PHONY: synth
synth: $(NODE) compiling ## write the templates of all stages into cdk.out
	@echo "cdk: synth, all stages"
	@python3 tools/isolated.py cdk synth --quiet

# The account's logging role is deployed by the same commands: STAGE=account.
stack = $(if $(filter account,$(STAGE)),account/)NylasWebhooks-$(STAGE)
look := .local/venv/lint/bin/python tools/account.py
at_stage = $(if $(filter local,$(STAGE)),$(on_engine))

.PHONY: diff
# A change set says what CloudFormation would replace. Whoever may not make one compares the
# templates instead, and says so; the CDK's own default does it by itself and in one line of many.
METHOD := change-set
diff: stage synth $(LINT) ## what a deployment would do, judged and in full: make diff STAGE=prod
	@$(at_stage) $(look) diff cdk.out $(stack)
	@go build -o .local/review/stackgate ./cmd/stackgate
	@$(at_stage) .local/review/stackgate -deployed $(stack) cdk.out || [ $$? = 10 ]
	@echo && $(at_stage) cdk diff --app cdk.out --method $(METHOD) $(stack) || { echo "make diff: without the right to make a change set, compare the templates alone: make diff STAGE=$(STAGE) METHOD=template" >&2; exit 1; }

# ARTIFACT is a folder for the comment on a pull request and all findings.
BASE = $(if $(shell git rev-parse --verify --quiet origin/main),origin/main,main)
.PHONY: review
review: synth ## what the commits since main mean for the templates: make review; make review BASE=v0.1.0
	@go build -o .local/review/stackgate ./cmd/stackgate
# 10 is the verdict: something is loosened, widened or replaced, and not accepted.
	@.local/review/stackgate -since $(BASE) $(if $(ARTIFACT),-artifact $(ARTIFACT)) cdk.out || { code=$$?; [ $$code != 10 ] || echo "make review: findings to read. Accept one in review-accepted.json, with the reason and an end (docs/reviewing.md)" >&2; exit $$code; }

.PHONY: deploy
deploy: stage synth $(LINT) ## deploy a stage: make deploy STAGE=prod
	@$(at_stage) $(look) deploy cdk.out $(stack)
	@$(at_stage) cdk deploy --app cdk.out $(stack)

.PHONY: destroy
destroy: stage synth $(LINT) ## remove a stage and say what stays behind: make destroy STAGE=dev
	@$(at_stage) .local/venv/lint/bin/python tools/remove.py cdk.out $(stack)
	@$(at_stage) cdk destroy --app cdk.out --force $(stack)

.PHONY: stage
stage: named compiling
	@[ "$(STAGE)" = account ] || go run ./infra -check "$(STAGE)"

.PHONY: named
named: preflight
	@[ -n "$(STAGE)" ] || { echo "make: name a stage, as in: make $(firstword $(MAKECMDGOALS)) STAGE=dev" >&2; exit 1; }
	@$(if $(at_stage),$(at_stage) true)

.PHONY: image
image: preflight ## hookworker's container image, without a container engine, as an OCI layout: make image; make image PUSH=registry/hookworker:v1
	@cd tools/image && go run . -module ../.. -out ../../.local/image $(if $(PUSH),-push $(PUSH)) -version "$$(git -C ../.. describe --tags --always 2>/dev/null || echo devel)"
	@echo "image: .local/image (skopeo copy oci:.local/image docker-daemon:hookworker:devel)"

##@ Release it

# goreleaser is compiled the first time, some minutes. It finds cyclonedx-gomod on the PATH.
.PHONY: dist
dist: synth ## build what a release has: programs, SBOMs, licences, checksums, into .local/dist
	@echo "goreleaser (the first time it is compiled, some minutes)"
	@go build -modfile=tools/release.mod -o .local/release/ github.com/goreleaser/goreleaser/v2 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	@VERSION=$$(git describe --tags --always --dirty) COMMIT_TIME=$$(git log -1 --format=%ct) COMMIT_DATE=$$(git log -1 --format=%cI) PATH="$(CURDIR)/.local/release:$$PATH" goreleaser release --snapshot --clean --parallelism 2
	@go run ./test/release .local/dist cdk.out

.PHONY: redist
redist: dist ## build the release a second time, in another folder, and compare the bytes
	@again=$$(mktemp -d) && trap 'rm -rf "$$again"' EXIT && git clone --quiet . "$$again/elsewhere" && \
		$(MAKE) -C "$$again/elsewhere" dist && go run ./test/release .local/dist cdk.out "$$again/elsewhere/.local/dist"

.PHONY: released
released: ## does the source name the version that is released? make released TAG=v0.3.0
	@grep -q '^const Version = "$(TAG)"$$' internal/release/release.go || { echo "make released: internal/release/release.go does not have $(TAG). Set Version there and the heading in CHANGELOG.md, commit, and tag that commit." >&2; exit 1; }

##@ Check it

.PHONY: test
test: ## all that CI checks, the targets from here to canaries
	@tools/test.sh lint unit stack policy faults nylas e2e canaries

.PHONY: lint
lint: $(LINT) compiling ## gofmt, go vet, golangci-lint, actionlint, zizmor
	@echo "golangci-lint (with gofmt and go vet; the first time it is compiled, 3 minutes on 2 cores)"
	@$(GOTOOL) golangci-lint run
	@echo "go vet, for macOS (without the CDK app, which would be compiled for that first)"
	@GOOS=darwin GOARCH=arm64 go vet $$(go list ./... | grep -Ev '/infra(/webhooks|/account|/findings)?$$|/test/(stack|policy)(/|$$)')
	@echo "hookworker's deployments: Kubernetes's and ECS's own schemas"
	@.local/venv/lint/bin/python tools/deployments.py
	@echo "tools/account.py, tools/remove.py"
	@cd tools && ../.local/venv/lint/bin/python -m unittest -q test_account test_remove
	@echo "actionlint"
	@go tool -modfile=tools/actionlint.mod actionlint
	@go tool -modfile=tools/actionlint.mod actionlint examples/own-repository/.github/workflows/*.yml
	@echo "zizmor"
	@.local/venv/lint/bin/zizmor --offline --quiet .github examples/own-repository/.github

# Packages with tests; those under test/ have targets of their own, below, but for this one.
unit_packages = $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v /test/) ./test/mutation ./test/bench
# Two packages at once keep two cores busy and memory low.
at_once = 2
gotestsum = mkdir -p .local/test; $(GOTOOL) gotestsum --format $(1) --jsonfile .local/test/$@.json -- -p $(at_once)

.PHONY: unit
unit: $(NODE) ## test the Go packages, with the race detector
	@tools/preflight.sh race
	@$(call gotestsum,pkgname) -race $(unit_packages)
# Without the race detector, which allocates, too.
	@go test -count=1 ./lambda/receiver
	@cd examples/consumer && go test ./...
	@cd examples/own-repository && go list -deps . >/dev/null
	@cd tools/image && go test ./...

.PHONY: stack
stack: $(NODE) compiling ## test the CloudFormation templates
	@$(call gotestsum,pkgname) -count=1 ./test/stack/...

.PHONY: policy
policy: export CDK_VALIDATION := true
policy: synth $(LINT) $(POLICY) ## check the templates with cdk-nag, cdk-preflight, cfn-guard, Checkov and cfn-lint
	@$(call gotestsum,testname) -count=1 ./test/policy/...

.PHONY: faults
faults: preflight ## prove that no notification is lost when AWS fails, the short version
	@$(call gotestsum,testname) -count=1 ./test/faults/... ./test/account/...

.PHONY: nylas
nylas: $(NODE) $(SDKS) ## run Nylas's own SDKs against the tests' stand-in of its API
	@$(call gotestsum,pkgname) -count=1 ./test/nylas/...

.PHONY: e2e
# They wait for half of the time: for queues, deployments and retries.
e2e: at_once = 3
e2e: linux $(NODE) $(ENGINE) $(EXTENDED) $(LINT) compiling ## test the deployed system, consumer and hookctl on engines of their own
	@$(call gotestsum,testname) -count=1 -timeout 20m ./test/e2e/... ./test/own/... ./test/drill/... ./test/consumer/... ./test/hookctl/... ./test/transcripts/... ./test/engine/... ./test/safety/...

.PHONY: canaries
canaries: preflight ## after the tests: no mail, secret or signature is in what they left behind
	@$(call gotestsum,pkgname) -count=1 ./test/canary/...
	@go run ./test/canary/search

# Of each of the ten targets. Without a bound on minimizing, most of it would go there.
FUZZTIME := 20s
.PHONY: fuzz
fuzz: preflight ## fuzz the code that reads requests from outside: make fuzz FUZZTIME=10m
	@for package in $$(go list ./lambda/... ./notification/...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "fuzz: $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package || exit 1; \
		done; \
	done

.PHONY: mutation
mutation: preflight $(NODE) ## break the code in every small way and look whether the unit tests notice; an hour and a half
	@go run ./test/mutation ./lambda/... ./notification/... ./consumer/... ./internal/...

.PHONY: bench-consumer
bench-consumer: preflight ## package consumer on a CRM that is half well: writes the table in docs/consumer.md
	@go test -count=1 -timeout 60m -run '^TestScenarios$$' ./consumer -repeat 5 -table ../docs/consumer.md
	@go test -count=1 -timeout 60m -run '^TestRandomScenarios$$' ./consumer -scenarios 10000

# Something smaller, which writes nothing: make bench BENCH_FLAGS="-short -rounds 2"; more flags in test/bench.
BENCH_FLAGS := -write
.PHONY: bench
bench: preflight $(BENCH) ## the receiver beside Rust, Node and Python: writes docs/performance.md; ten minutes on a quiet machine
	@mkdir -p .local/bench && go build -o .local/bench/bench ./test/bench
	@.local/bench/bench $(BENCH_FLAGS)

.PHONY: bench-scale
bench-scale: preflight ## a burst of 20,000 through 1 to 32 environments of the receiver: writes docs/performance.md
	@mkdir -p .local/bench && go build -o .local/bench/bench ./test/bench
	@.local/bench/bench -scale

.PHONY: proof
proof: preflight ## the whole proof under faults, with its soak and a report; 45 minutes
	@go run ./test/faults/proof

.PHONY: pictures
pictures: preflight ## play an hour of faults in a minute and draw docs/pictures/faults.svg; make snapshots draws the others
	@go run ./test/faults/picture

.PHONY: snapshots
snapshots: $(NODE) compiling ## write the templates' snapshots, and what docs/ computes from them, anew, for review
	@if [ -n "$${CI:-}" ]; then echo "snapshots: not in CI. A changed snapshot is read by a person: run it on your machine and commit the difference." >&2; exit 1; fi
	@UPDATE_SNAPSHOTS=1 go test -count=1 ./test/stack/...
	@git --no-pager diff --stat -- test/stack docs

.PHONY: vulncheck
vulncheck: preflight ## look up known vulnerabilities of the Go dependencies
	@tools/vulncheck.sh

.PHONY: fmt
fmt: preflight ## format the Go code
	@go fmt ./...

# The tools. preflight says what is missing on the machine before anything is installed.

.PHONY: preflight
preflight:
	@tools/preflight.sh

# Before what runs the engine; nothing else asks for Linux.
.PHONY: linux
linux:
	@tools/preflight.sh engine

# Before what compiles the CDK app.
.PHONY: compiling
compiling: preflight
	@tools/compiling.sh

%/node_modules/.package-lock.json: %/package-lock.json | preflight
	@echo "tools: installing $<"
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error >/dev/null || { echo "make: npm could not install $<, see above. It needs the registry (npm config get registry); behind a proxy set HTTPS_PROXY, and NODE_EXTRA_CA_CERTS where the proxy has a certificate of its own." >&2; exit 1; }
	@touch $@

.local/venv/%/.installed: tools/requirements-%.txt | preflight
	@echo "tools: installing $<"
	@rm -rf $(@D)
	@python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: -r $< || { echo "make: pip could not install $<, see above. It needs the package index (pip config list); behind a proxy set HTTPS_PROXY, and PIP_CERT where the proxy has a certificate of its own." >&2; exit 1; }
	@touch $@

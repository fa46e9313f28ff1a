# Everything that a person does with this tree. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# The version is given here; asking git a second time fails for whoever builds
# a tree that another user owns.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"

# Tools are pinned, and kept out of go.mod so that what they need never meets
# what the product links.
STATICCHECK_VERSION := v0.8.2
GOFUMPT_VERSION     := v0.12.0
STATICCHECK := .tools/staticcheck-$(STATICCHECK_VERSION)
GOFUMPT     := .tools/gofumpt-$(GOFUMPT_VERSION)

FUZZTIME ?= 30s
BENCH    ?= .
SOAK     ?= 100

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: build
build: ## bin/vaultpam with the console, if it can be built here
	@tools/console.sh
	$(BUILD) -o bin/vaultpam ./cmd/vaultpam
	@if [ -d cmd/vaultpam-connector ]; then set -x; $(BUILD) -o bin/vaultpam-connector ./cmd/vaultpam-connector; fi

.PHONY: build-hsm
build-hsm: ## bin/vaultpam-hsm, with PKCS#11: needs a C compiler, and is not static
	@tools/console.sh
	$(subst CGO_ENABLED=0,CGO_ENABLED=1,$(BUILD)) -tags pkcs11 -o bin/vaultpam-hsm ./cmd/vaultpam

.PHONY: console
console: ## the web console, into web/dist
	@bin="$$(tools/node.sh)" || { echo "make: $$bin" >&2; exit 1; }; PATH="$$bin:$$PATH" $(MAKE) --no-print-directory web/dist/index.html

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error

web/src/api/schema.ts: $(wildcard api/v1/*.go edge/httpapi/*.go) web/node_modules/.package-lock.json
	$(GO) run ./cmd/vaultpam openapi > web/openapi.json
	cd web && npm run --silent types

web/dist/index.html: web/src/api/schema.ts $(shell find web/src web/public web/*.html web/*.ts web/*.json -type f 2>/dev/null | grep -v -e openapi.json -e schema.ts)
	rm -rf web/dist/assets web/dist/*.*
	cd web && npm run --silent build

.PHONY: run
run: build ## build, then start the dev server on loopback
	@exec bin/vaultpam server --dev

.PHONY: test-deps
test-deps: ## install the real peers that tests talk to (Debian packages)
	@tools/test-deps.sh

.PHONY: test
# Scripts wait more than they work, so that a few more of them than cores run at once.
test: test-deps console ## every test; a skipped test is a failure
	$(GO) run ./tools/gotest -timeout 40m -parallel 3 ./...

.PHONY: check
check: vet staticcheck format floors ## what can be said without running the product

.PHONY: vet
vet:
	$(GO) vet ./...
	CGO_ENABLED=1 $(GO) vet -tags pkcs11 ./vault/sealpkcs11 ./server

.PHONY: staticcheck
staticcheck: $(STATICCHECK)
	$(STATICCHECK) ./...

.PHONY: format
format: $(GOFUMPT)
	@found="$$($(GOFUMPT) -d . 2>&1 || true)"; if [ -n "$$found" ]; then printf '%s\n' "$$found"; echo 'make check: run `make fmt`' >&2; exit 1; fi

.PHONY: floors
floors: # dependencies against docs/dependencies.md
	$(GO) run ./tools/floors go.mod web/package-lock.json docs/dependencies.md

.PHONY: fmt
fmt: $(GOFUMPT) ## format every Go file
	$(GOFUMPT) -w .

.PHONY: bench
bench: test-deps ## ratios to references, into docs/benchmarks.md; BENCH=regexp prints some
	VAULTPAM_BENCH=1 VAULTPAM_BENCH_TABLE=$(if $(filter .,$(BENCH)),$(CURDIR)/docs/benchmarks.md) $(GO) test ./test/bench -run '$(BENCH)' -v -count 1 -timeout 1h

.PHONY: bench-parts
bench-parts: test-deps ## Go benchmarks of single packages; BENCH=regexp chooses
	$(GO) test ./... -p 1 -run '^$$' -bench '$(BENCH)' -benchmem -timeout 2h

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME=30s
	@tools/fuzz.sh each $(FUZZTIME)

.PHONY: fuzz-short
fuzz-short: ## every fuzz target, five minutes in total
	@tools/fuzz.sh total 300s

.PHONY: soak
soak: test-deps ## killed processes and full disks: 200 rounds under load, and the rest SOAK=100 times over
	VAULTPAM_CRASH_ROUNDS=200 $(GO) run ./tools/gotest -run 'TestCrash' -timeout 3h ./test/script
	$(GO) run ./tools/gotest -run 'Killed|FullDisk|Soak' -count $(SOAK) -timeout 6h ./...

.PHONY: clean
clean: ## remove what make built; data directories stay
	rm -rf bin .tools web/node_modules web/dist/assets web/dist/*.*

$(STATICCHECK):
	GOBIN="$(CURDIR)/.tools" $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv .tools/staticcheck $@

$(GOFUMPT):
	GOBIN="$(CURDIR)/.tools" $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	@mv .tools/gofumpt $@

# make run and make test are all that a fresh machine with Go needs.

GO         ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 5000x
IMAGE      ?= pldns
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: build help run test e2e stress race lint fuzz bench bench-go image image-arm64 sbom clean

build: ## bin/pldns
	GO=$(GO) deploy/build bin/pldns

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## serve the built-in example on 127.0.0.1:5353
	bin/pldns serve --example

test: ## every test that needs neither root nor another program
	$(GO) test ./...

e2e: ## whole deployments on hosts that are network namespaces; says what it skips
	PLDNS_E2E=$${PLDNS_E2E:-1} $(GO) test -count=1 -v -timeout 20m ./deploy/scenarios/...

stress: ## what others are answered while one client, domain or reader misbehaves; PLDNS_STRESS=short for less
	PLDNS_STRESS=$${PLDNS_STRESS:-full} $(GO) test -count=1 -v -timeout 30m ./deploy/scenarios/stress

race: ## the same as test under the race detector
	$(GO) test -race ./...

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) -checks all,-ST1000 ./...

# Counted, not timed: at the end of its time a busy machine reports a failure of
# the fuzzer itself.
fuzz: ## every fuzz target, FUZZTIME inputs each
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "fuzz $$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package; \
	  done; \
	done

bench: build ## every table of BENCHMARKS.md: queries over sockets, against an echo and other servers
	$(GO) run ./cmd/bench

bench-go: ## every Go benchmark, once
	$(GO) test -run '^$$' -bench . -benchmem ./...

image: ## the container image
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(IMAGE) .

image-arm64: ## the image for arm64, also without BuildKit
	VERSION=$(VERSION) REVISION=$(REVISION) deploy/image-for arm64 $(IMAGE):arm64

sbom: build ## what is in the binary, as CycloneDX: dist/pldns.cdx.json
	@mkdir -p dist
	$(GO) run ./deploy/sbom bin/pldns > dist/pldns.cdx.json

clean: ## remove what was built
	rm -rf bin dist

# make run and make test are all that a fresh machine with Go needs.

GO         ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
CYCLONEDX   = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
FUZZTIME   ?= 5000x
IMAGE      ?= pldns
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
ONLY       ?=

# The modules of this repository: the program, and what is not to be among its
# requirements.
MODULES   = . cmd/acceptance cmd/bench
HEAVY     = deploy/validate deploy/certificates
COUNTED   = $(foreach package,pldns/... github.com/miekg/dns github.com/BurntSushi/toml,-gcflags=$(package)=-d=libfuzzer)
PLATFORMS = windows/arm64 darwin/arm64

.PHONY: build help run test test-all e2e stress race lint check systems rules tidied fetched vulnerabilities tidy fuzz bench bench-go image images sbom dist clean

build: ## bin/pldns
	GO=$(GO) deploy/build bin/pldns

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## serve the built-in example on 127.0.0.1:5353
	bin/pldns serve --example

test: ## the tests, but for what takes long: -v names what is left out
	@set -e; for module in $(MODULES); do (cd $$module && $(GO) test -short -parallel 6 ./...); done

test-all: ## every test that needs neither root nor another program; RACE=-race for the race detector
	$(GO) test $(RACE) -timeout 20m ./...
	@set -e; for module in $(filter-out .,$(MODULES)) $(HEAVY); do (cd $$module && $(GO) test ./...); done # what looks from outside

e2e: ## whole deployments on hosts that are network namespaces; says what it skips
	PLDNS_E2E=$${PLDNS_E2E:-1} $(GO) test -count=1 -v -timeout 20m ./deploy/scenarios/...

stress: ## what others are answered while one client, domain or reader misbehaves; PLDNS_STRESS=short for less
	PLDNS_STRESS=$${PLDNS_STRESS:-full} $(GO) test -count=1 -v -timeout 30m ./deploy/scenarios/stress

race: ## every test of the program under the race detector
	$(GO) test -race ./...

lint: ## gofmt, vet and staticcheck of every module
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	@set -e; for module in $(MODULES) $(HEAVY); do (cd $$module && echo "lint $$module" && \
	  $(GO) vet ./... && $(GO) run $(STATICCHECK) -checks all,-ST1000 ./...); done

check: lint systems rules vulnerabilities tidied ## lint, other systems, rules of imports, length of lines, known vulnerabilities, tidy modules

systems: ## vet for other systems
	@set -e; for platform in $(PLATFORMS); do echo "vet $$platform"; \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) vet -trimpath ./cmd/... ./config/... ./resolver/... ./zones/...; done

rules: ## of imports, and length of lines
	$(GO) test -count=1 .

tidied: ## that every module is tidy
	@set -e; for module in $(MODULES) $(HEAVY); do (cd $$module && echo "tidy $$module" && $(GO) mod tidy -diff); done

fetched: ## what these, dist and the tests want of the network
	@set -e; for module in $(MODULES) $(HEAVY); do (cd $$module && $(GO) mod download); done
	@$(GO) run $(STATICCHECK) -version; $(GO) run $(CYCLONEDX) version

vulnerabilities: ## what is known of Go and the modules in the program, by govulncheck
	GO=$(GO) .ci/vulnerabilities

tidy: ## go.mod and go.sum of every module
	@set -e; for module in $(MODULES) $(HEAVY); do (cd $$module && $(GO) mod tidy); done
# Counted, not timed: at the end of its time a busy machine reports a failure of the
# fuzzer itself. A package is linked once for all of its targets. What inputs reach is
# counted in the packages of this module and in those that parse for it, as -fuzz would in
# all: the others are taken as they were compiled for the tests.
fuzz: ## every fuzz target, FUZZTIME inputs each
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; cache=$$($(GO) env GOCACHE)/fuzz; \
	for package in $$($(GO) list -f '{{range .TestGoFiles}}{{$$.Dir}}/{{.}} {{end}}{{range .XTestGoFiles}}{{$$.Dir}}/{{.}} {{end}}' ./... | \
	    xargs grep -l '^func Fuzz' | xargs -n 1 dirname | sort -u); do \
	  (cd $$package && $(GO) test -c $(COUNTED) -ldflags="-s -w" -o "$$work/fuzz" . && \
	  for target in $$("$$work/fuzz" -test.list '^Fuzz'); do \
	    echo "fuzz $$package $$target"; \
	    "$$work/fuzz" -test.run '^$$' -test.fuzz "^$$target$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 10x \
	      -test.fuzzcachedir "$$cache/$$package"; \
	  done); \
	done

bench: build ## every table of BENCHMARKS.md: queries over sockets, against an echo and other servers
	cd cmd/bench && $(GO) run . -pldns $(CURDIR)/bin/pldns

bench-go: ## every Go benchmark, once
	$(GO) test -run '^$$' -bench . -benchmem ./...

image: ## the container image, for the processor of the engine
	docker build --build-arg TARGETARCH=$$(docker version -f '{{.Server.Arch}}') --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(IMAGE) .

images: ## the images for amd64 and arm64, as IMAGE:amd64 and IMAGE:arm64, also without BuildKit
	@set -e; for processor in amd64 arm64; do VERSION=$(VERSION) REVISION=$(REVISION) deploy/image-for $$processor $(IMAGE):$$processor; done

sbom: build ## what is in the binary, as CycloneDX: dist/pldns.cdx.json
	@mkdir -p dist
	$(GO) run $(CYCLONEDX) bin -json -noserial -notimestamp -output dist/pldns.cdx.json bin/pldns

dist: ## archives, packages and checksums for linux, macOS and Windows, in dist; ONLY=linux/amd64,... for less
	GO=$(GO) $(GO) run ./deploy/dist $(if $(ONLY),-only $(ONLY))

clean: ## remove what was built
	rm -rf bin dist artefacts

# What a contributor and CI run. Go is all that has to be there: linters go to
# .bin, and `make test` installs the system packages that the tests use when
# they are missing and apt-get may be used.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_VERSION := 2.15.0
GOLANGCI := .bin/golangci-lint
ARCHCHECK := .bin/archcheck

.PHONY: help
help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 13

.PHONY: run
run: ## serve on loopback with the defaults
	go run ./cmd/gateway serve

.PHONY: build
build: ## build every command into bin/
	go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/...

.PHONY: test
test: packages ## run every test with the race detector
	go test -race -timeout 20m ./...

.PHONY: chaos
chaos: packages ## break gateways, Redis and the network under load, the long form
	LOCKGATE_CHAOS=long go test -timeout 60m -v -run 'TestRedis_|TestGateways_|TestLinearizable_|TestTrial_|TestKill_' ./e2e

.PHONY: chaos-trial
chaos-trial: packages ## print what an operator sees when a cluster and Sentinel fail over under load
	LOCKGATE_CHAOS=long go test -timeout 10m -v -run 'TestTrial_' ./e2e

.PHONY: lint
lint: tools ## check format, lint rules and shape
	$(GOLANGCI) fmt --diff
	$(GOLANGCI) run ./...
	$(ARCHCHECK) ./...

.PHONY: fmt
fmt: tools ## format every file
	$(GOLANGCI) fmt

.PHONY: bench
bench: build ## measure: Go benchmarks, then load over HTTP with its floors
	go test -run=NONE -bench=. -benchmem $$(grep -rlE --include='*_test.go' '^func Benchmark' . | xargs -r -n1 dirname | sort -u)
	bin/gateway bench --floor
	bin/gateway bench --backend file: --clients 64 --floor
	bin/gateway bench --scenario handoff
	bin/gateway bench --scenario hold

.PHONY: tools
tools: ## install the linters into .bin
	@tools/install-lint $(GOLANGCI) $(GOLANGCI_VERSION)
	@go build -C tools/archcheck -o "$(CURDIR)/$(ARCHCHECK)" .

# The race detector links with gcc; tests of a Redis store run redis-server.
.PHONY: packages
packages:
	@tools/need gcc:gcc gcc:libc6-dev redis-server:redis-server redis-sentinel:redis-sentinel redis-cli:redis-tools

# make help lists what there is.
SHELL      := /bin/bash
GOFLAGS    := -buildvcs=false $(GOFLAGS)
export GOFLAGS
export CGO_ENABLED := 0
VERSION    ?= $(shell git describe --tags --always 2>/dev/null || echo dev)
LDFLAGS    := -s -w -X main.version=$(VERSION)
ARGS       ?=
TEMPL      := go tool templ

.DEFAULT_GOAL := help
.PHONY: help build run assets generate test test-setup lint verify bench soak clauses screenshots clean cross

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

ui/node_modules: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	@touch ui/node_modules

ui/dist/manifest.json: ui/node_modules $(shell find ui/src ui/build ui/package-lock.json -type f 2>/dev/null)
	go run ./ui/build

assets: ui/dist/manifest.json ## bundle styles and scripts into ui/dist

build: assets ## leave bin/gongshu
	go build -ldflags '$(LDFLAGS)' -o bin/gongshu ./cmd/gongshu

run: build ## build and start the demo city; ARGS="--data DIR --addr HOST:PORT --city foshan"
	./bin/gongshu demo $(ARGS)

generate: ## write the Go code of the templates again
	$(TEMPL) generate -path .

test: assets ## all tests, on SQLite and PostgreSQL, with a browser
	./scripts/test.sh

lint: ## vet and format
	go vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'lint: run gofmt -w on the files above'; exit 1; }

verify: ## generated code current, formatted, imports in order, every enforceable clause's test, three platforms
	./scripts/verify.sh

clauses: ## which article is guarded by which test; fails on one that the program cites and no test shows
	@go run ./cmd/gongshu clauses --tests . --csv > clause/tests.csv.new && mv clause/tests.csv.new clause/tests.csv
	@go run ./cmd/gongshu clauses --tests .

bench: assets ## all figures, written to docs/benchmarks.md
	./scripts/bench.sh

soak: ## what takes long: 1,200 kills, fuzzing
	./scripts/soak.sh

cross: assets ## the three platforms that the platform is built for
	@for arch in amd64 arm64 loong64; do echo "linux/$$arch"; GOOS=linux GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gongshu-linux-$$arch ./cmd/gongshu || exit 1; done

clean: ## take away what was built
	rm -rf bin ui/dist/* ui/node_modules test-results

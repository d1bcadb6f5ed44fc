# `make run` and `make test` do all set-up themselves; see scripts/setup.sh.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test build ui setup-run setup-test

export BELLWETHER_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bellwether
export BELLWETHER_PYTHON ?= $(BELLWETHER_TOOLS)/python/bin/python
export PATH := $(BELLWETHER_TOOLS)/bin:$(PATH)

UI_SOURCES := $(shell find ui/src ui/public ui/scripts ui/index.html ui/*.json ui/*.ts -type f 2>/dev/null)

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build everything and start it on http://127.0.0.1:9090; ARGS="--config prometheus.yml" adds options
	@exec cargo run --release --quiet --package bellwether -- serve $(ARGS)

test: setup-test ## Check formatting, lints and structure, and run every test
	@cargo xtask ci

build: setup-run ui ## Build the web UI and the release binary
	cargo build --release --package bellwether

ui: ui/dist/index.html ## Build the web UI, if it changed

setup-run:
	@scripts/setup.sh run

setup-test:
	@scripts/setup.sh test

ui/node_modules/.package-lock.json: ui/package-lock.json | setup-run
	cd ui && npm ci --no-audit --no-fund
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build
	@touch $@

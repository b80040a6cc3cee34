# The main commands are `make run` and `make test`. Both first install missing dependencies.
# CARGO_TARGET_DIR and CARGO_BUILD_JOBS have their usual effect.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test test-entry fuzz fuzz-api fuzz-parsers soak soak-mixed bench bench-compare docs check setup setup-tests build cargo image image-test dist dist-test chart-test cluster-test simulation

# Selects the whole workspace although it builds one binary. `run` and `test` then use the same
# features of all dependencies and share the compilation. `-p hearth` would compile most of them a
# second time.
BUILD = cargo build --release --locked --workspace --bin hearth

# The option SECONDS, or a default. The shell has a variable of this name, which does not count.
seconds = $(if $(filter command line,$(origin SECONDS)),$(SECONDS),$(1))

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

run: build ## set up, build, and serve on 127.0.0.1:3010 (options: make run ARGS="--listen 127.0.0.1:4000")
	@exec "$${CARGO_TARGET_DIR:-target}/release/hearth" serve $(ARGS)

test: cargo setup-tests ## set up, build, and run all tests (some: make test ARGS=name)
	@scripts/test $(ARGS)

test-entry: cargo setup-tests ## run the tests behind another node of a cluster, with PostgreSQL (some: make test-entry ARGS=name)
	@HEARTH_TEST_CLUSTER=2 NEXTEST_PROFILE=entry scripts/test $(ARGS)

fuzz: fuzz-api fuzz-parsers ## run both kinds of fuzzing (duration of each target: make fuzz SECONDS=300)

fuzz-api: cargo setup-tests ## fuzz the API of a server with schemathesis (duration: make fuzz-api SECONDS=300)
	@NEXTEST_PROFILE=fuzz FUZZ_SECONDS=$(call seconds,300) scripts/test schemathesis_finds_no_difference

fuzz-parsers: cargo ## fuzz the parsers of hostile input, each for some seconds (duration: make fuzz-parsers SECONDS=20)
	@NEXTEST_PROFILE=fuzz HEARTH_FUZZ_SECONDS=$(call seconds,20) scripts/test -E 'test(/(^|::)fuzz::/)'

soak: cargo setup-tests ## run the slow tests: timing, thousands of rounds, the longest deadline (30 minutes on an idle machine)
	@NEXTEST_PROFILE=soak scripts/test --run-ignored only -E 'test(/^(soak|restart|bounded)::/)'

soak-mixed: cargo setup-tests ## run only its mixed load with faults, as root (an hour: make soak-mixed MINUTES=60; a replay: SEED=...)
	@NEXTEST_PROFILE=soak HEARTH_SOAK_MINUTES=$(MINUTES) HEARTH_SOAK_SEED=$(SEED) scripts/test --run-ignored only --no-capture -E 'test(/^soak::mixed::/)'

docs: cargo setup-tests ## update docs/conformance.md, docs/SECURITY.md and docs/CONFIGURATION.md from the results of the tests
	@HEARTH_WRITE_DOCS=1 scripts/test is_documented

bench: build setup-tests ## run the benchmarks and write docs/benchmarks.md (quick: make bench ARGS=--quick)
	@$(BUILD) --bin hearth-bench
	@exec "$${CARGO_TARGET_DIR:-target}/release/hearth-bench" $(ARGS)

bench-compare: build setup-tests ## run the benchmarks of two versions in turns and print both (the other one: make bench-compare BASE=main)
	@$(BUILD) --bin hearth-bench
	@exec scripts/bench-compare "$(BASE)" $(ARGS)

check: ## check formatting, lints and spelling
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	@if command -v typos >/dev/null; then typos; else echo 'typos is not installed; install it with: cargo install --locked typos-cli'; fi

setup: ## install the runtime: Chromium, Playwright, agent-browser, libraries (others: make setup LIBRARIES=dir)
	@scripts/setup

setup-tests: setup ## install the dependencies of the tests: API and CDP clients from npm and PyPI
	@scripts/setup-tests

build: cargo setup
	$(BUILD)

cargo:
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH; install Rust 1.95 or newer, from https://rustup.rs" >&2; exit 1; }

simulation: cargo ## simulate a cluster of 100 nodes with 1,000 sessions and stub browsers (some minutes, 4 GB of memory)
	@NEXTEST_PROFILE=soak scripts/test --run-ignored only --no-capture -E 'package(hearth-simulation)'

chart-test: ## check the Helm chart without a cluster (docs/cluster.md)
	@scripts/chart-test

cluster-test: build ## test docker/compose.cluster.yml in containers: two nodes, PostgreSQL, an S3 server and HAProxy
	@scripts/cluster-test

dist: build ## pack an archive and a Debian package for Debian 12 into dist/
	@scripts/dist

dist-test: dist ## test both on a fresh Debian 12, as root: installation, first session, upgrade, removal
	@scripts/dist-test

image: ## build the container image from source (docker/Dockerfile; other libraries: make image LIBRARIES=dir)
	DOCKER_BUILDKIT=1 docker build -f docker/Dockerfile $(if $(LIBRARIES),--build-arg LIBRARIES=$(LIBRARIES)) -t hearth .

image-test: build setup-tests ## build the image with the release binary, test its content and compose, and run the tests inside it
	@scripts/image-test

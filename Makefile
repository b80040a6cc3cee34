# The two commands are `make run` and `make test`; both set up what is missing first.
# CARGO_TARGET_DIR and CARGO_BUILD_JOBS are cargo's own variables and are respected.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run test fuzz soak bench docs check setup setup-tests build cargo image image-test

# The whole workspace is selected and one binary built: so `run` and `test` agree on the features of
# every dependency and share one compilation. `-p hearth` would compile most of them a second time.
BUILD = cargo build --release --locked --workspace --bin hearth

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

run: build ## set up, build and serve on 127.0.0.1:3010 (options: make run ARGS="--listen 127.0.0.1:4000")
	@exec "$${CARGO_TARGET_DIR:-target}/release/hearth" serve $(ARGS)

test: cargo setup-tests ## set up, build and run all tests, or some (make test ARGS=name)
	@scripts/test $(ARGS)

fuzz: cargo setup-tests ## let schemathesis loose on a server for a while (SECONDS=300)
	@NEXTEST_PROFILE=fuzz FUZZ_SECONDS=$(if $(filter command line,$(origin SECONDS)),$(SECONDS),300) scripts/test schemathesis_finds_nothing

soak: cargo setup-tests ## what takes long: timing, thousands of rounds, the longest deadline (about 20 minutes, on a quiet machine)
	@NEXTEST_PROFILE=soak scripts/test --run-ignored only -E 'test(/^(soak|restart)::/)'

docs: cargo setup-tests ## have the tests write down what they see, in docs/conformance.md and docs/SECURITY.md
	@HEARTH_WRITE_DOCS=1 scripts/test is_documented

bench: build ## measure, print, and write docs/benchmarks.md (a quick look: make bench ARGS=--quick)
	@$(BUILD) --bin hearth-bench
	@exec "$${CARGO_TARGET_DIR:-target}/release/hearth-bench" $(ARGS)

check: ## formatting and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

setup: ## install what user code runs on: Chromium, the playwright wheel, agent-browser
	@scripts/setup

setup-tests: setup ## install what the tests alone need: other people's clients from npm and PyPI
	@scripts/setup-tests

build: cargo setup
	$(BUILD)

cargo:
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH; install Rust 1.95 or newer, from https://rustup.rs" >&2; exit 1; }

image: ## build the container image, from source (docker/Dockerfile)
	DOCKER_BUILDKIT=1 docker build -f docker/Dockerfile -t hearth .

image-test: build setup-tests ## build the image around the release binary, and try it: contents, compose, the tests inside it
	@scripts/image-test

# `make` lists the targets. Each one sets up what it needs; none asks anything.
.DEFAULT_GOAL := help
.PHONY: help run acme litestream check test lint generate build example e2e sdks bundles tools chromium postgresql aiosmtpd proxies bench simulate
MAKEFLAGS += --no-print-directory

# The dev profile, also for `make run`: it optimises only what a server waits for (Cargo.toml), and
# `make test` uses the same artefacts. The release profile would compile everything a second time,
# with link-time optimisation, before the first sign-in.
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(abspath $(TARGET)/debug/sojourn)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools bundles ## Build and run the server; ARGS="--port 4100" passes flags on
	@cargo build --locked --package sojourn
	@exec $(BINARY) serve $(ARGS)

# Whole workspace, or cargo would build dependencies anew with other features. Left out: tests that
# start PostgreSQL or processes, the browser, and the bundles where they were never fetched.
CHECKED := --lib --bins --test lifetime --test impersonation --test histories --test it --test openapi --test tidy
check: ## In a minute, while you work: formatting, clippy, unit tests, the core, the stories in memory
	@cargo fmt --all --check
	@mkdir -p web/bundles
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	@cargo test --workspace --locked --quiet $(CHECKED) -- --skip postgres::tests --skip postgres::migrate --skip postgres::archive $(if $(wildcard web/bundles/.stamp),,--skip bundle)

test: tools bundles chromium postgresql aiosmtpd proxies e2e/node_modules/.package-lock.json examples/nextjs-multi-session/node_modules/.package-lock.json ## Install what the tests need, and run them all
	cargo test --workspace --locked
	@# The stories over HTTP again, each on a database of its own. As the whole workspace, or cargo
	@# would build the dependencies anew with fewer features. Left out: half a minute's random search
	@# for settings that a rule of the core would judge wrongly, wherever they are stored.
	SOJOURN_TEST_ENGINE=sqlite cargo test --workspace --locked --test it -- --skip a_dry_run_counts_exactly
	SOJOURN_TEST_ENGINE=postgres cargo test --workspace --locked --test it -- --skip a_dry_run_counts_exactly
	@cargo build --locked --package sojourn
	SOJOURN_BIN=$(BINARY) node sdks/run.mjs express fastify hono python
	SOJOURN_BIN=$(BINARY) node sdks/webhooks/run.mjs
	cd e2e && SOJOURN_BIN=$(BINARY) npm test

acme: tools bundles ## Certificates from a local ACME server (builds Pebble with Go, once)
	PEBBLE=$$(scripts/install-pebble) cargo test --workspace --locked --test cli -- --ignored acme

litestream: tools bundles ## Replication of the embedded database by Litestream (built with Go, once)
	@cargo build --locked --package sojourn
	@LITESTREAM=$$(scripts/install-litestream) SOJOURN_BIN=$(BINARY) scripts/litestream-drill

sdks: tools bundles chromium e2e/node_modules/.package-lock.json ## The real SDKs of other stacks; SDKS="go java" for some (those need their toolchains)
	@cargo build --locked --package sojourn
	@SOJOURN_BIN=$(BINARY) node sdks/run.mjs $(SDKS)

e2e: tools bundles chromium e2e/node_modules/.package-lock.json examples/nextjs-multi-session/node_modules/.package-lock.json ## Only the tests in a browser
	@cargo build --locked --package sojourn
	cd e2e && SOJOURN_BIN=$(BINARY) npm test

simulate: tools bundles ## Many simulated worlds; SEEDS=1000000, or one again: FROM=42 SEEDS=1
	@SEEDS=$(SEEDS) FROM=$(FROM) cargo run --quiet --release --locked --package sojourn-testkit --bin simulate

lint: ## Formatting, clippy without warnings, dependencies (installs cargo-deny for that)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@scripts/check-dependencies

generate: ## Write the generated files anew (openapi/)
	GENERATE=1 cargo test --quiet --package sojourn-server --test openapi

bench: tools ## What a refresh costs, as ratios; SESSIONS=1000000
	cargo run --release --locked --package sojourn-bench -- $(or $(SESSIONS),1000000)

build: tools bundles ## The optimised binary in target/release
	cargo build --release --locked --package sojourn

example: tools ## Build the Next.js example and serve it against the running server
	@cargo build --locked --package sojourn
	cd examples/nextjs-multi-session && SOJOURN_BIN=$(BINARY) npm run --silent example

bundles: tools ## Fetch and check the browser scripts that the server hands out
	@cargo xtask bundles

tools:
	@scripts/check-tools

chromium:
	@scripts/install-chromium

postgresql:
	@scripts/install-postgresql

aiosmtpd:
	@scripts/install-aiosmtpd

proxies:
	@scripts/install-proxies

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

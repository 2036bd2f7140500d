# The two commands anyone needs are `make run` and `make test`.

CARGO ?= cargo
VENV  ?= .venv
PACK  ?=

.DEFAULT_GOAL := help
.PHONY: help run build test test-rust test-clients lint deny bench bench-quick bench-pack fuzz clean

help: ## what there is to do
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build Bartizan and serve the example agent, or PACK=my.pack.json
	$(CARGO) build --release --locked --bin bartizan
	./target/release/bartizan serve $(PACK)

build: ## the binary as it is shipped: target/release/bartizan
	$(CARGO) build --release --locked --bin bartizan

test: test-rust test-clients ## every test; installs what the client tests need

test-rust: ## unit, integration, snapshot and property tests
	$(CARGO) test --workspace --locked

test-clients: $(VENV)/.ready ## real clients (openai, langchain, grpcio) against the real binary
	$(CARGO) build --workspace --bins --locked
	$(VENV)/bin/python -m pytest -q tests/clients

# The clients live in a virtual environment of their own, made again when the list changes.
$(VENV)/.ready: tests/clients/requirements.txt tests/clients/make-venv.sh
	sh tests/clients/make-venv.sh $(VENV)
	touch $@

lint: ## formatting and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, advisories and bans, where cargo-deny and its database can be had
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check licenses bans sources && \
		{ $(CARGO) deny --locked check advisories || \
		  { status=$$?; test -n "$(DENY_OFFLINE)" && echo "advisory database not reachable: advisories not checked" || exit $$status; }; }; \
	else echo "cargo-deny is not installed: licences and advisories not checked (cargo install cargo-deny --locked)"; fi

bench: build ## Bartizan beside the direct upstream, and the pack figures
	$(CARGO) build --release --locked -p bartizan-testkit --bins
	./target/release/bench --bartizan target/release/bartizan $(BENCH_ARGS)
	$(MAKE) bench-pack

bench-quick: ## the same in half a minute, with less to say
	$(MAKE) bench BENCH_ARGS=--quick

bench-pack: ## reading, checking and rendering packs
	$(CARGO) run --release --locked -p promptpack --example pack_bench

fuzz: ## the pack reader and the renderer, a minute each (needs a nightly toolchain and cargo-fuzz)
	cd fuzz && $(CARGO) +nightly fuzz run pack_read -- -max_total_time=60
	cd fuzz && $(CARGO) +nightly fuzz run template_render -- -max_total_time=60

clean: ## remove what was built
	$(CARGO) clean
	rm -rf $(VENV)

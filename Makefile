# What one does with Homeward from a checkout. Every target is safe to repeat.

.PHONY: help setup demo test check bench screenshots fuzz deny
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## install what Homeward needs on this machine (does nothing when all is there)
	@scripts/setup.sh

demo: setup ## build, start everything with a simulated fleet, and say where to look
	cargo run --release --bin homeward -- demo

test: setup ## run every test, against a throw-away PostgreSQL server
	@scripts/test-tools.sh
	scripts/with-postgres.sh cargo test --workspace --locked

check: setup ## formatting, lints, and whether .sqlx/ matches the queries
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/sqlx-prepare.sh --check

bench: setup ## measure how many readings a second this machine takes, end to end
	cargo run --release --bin homeward -- bench

screenshots: setup ## pictures of every page of the demo, in target/screenshots
	@scripts/screenshots.sh

fuzz: ## how to fuzz the decoders
	@echo "Fuzzing needs the nightly compiler and cargo-fuzz (cargo install cargo-fuzz)."
	@echo "The targets are listed by    cargo +nightly fuzz list"
	@echo "One is run by                cargo +nightly fuzz run TARGET -- -max_total_time=60"

deny: ## licences, advisories, duplicates and sources of the dependencies
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --workspace check; \
	else \
		echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2; exit 1; \
	fi

# Everything a newcomer or a CI needs; each target installs what it uses first.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
HUSTLERS ?= 200
# One more than the cores of a small machine: many tests wait for clocks and sockets.
WORKERS ?= 3
# What tests look through or stand behind, as program or program:package; absent ones skip their tests.
TEST_PROGRAMS := chromium nginx:nginx-light haproxy pgbouncer redis-server

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: ## install only: .venv with everything, hash-pinned
	@sh deploy/setup.sh requirements-dev.lock

.PHONY: runtime
runtime:
	@if [ -f .venv/installed-requirements-dev.lock ]; then sh deploy/setup.sh requirements-dev.lock; \
	else sh deploy/setup.sh requirements.lock; fi

.PHONY: demo
demo: runtime ## a city that matches itself, in the terminal and on a map (HUSTLERS=200)
	@.venv/bin/hustlexp dev --simulate $(HUSTLERS)

.PHONY: test
test: setup ## all tests but the long ones
	@sh deploy/test_programs.sh $(TEST_PROGRAMS)
	@$(PY) -m pytest -n $(WORKERS) -m "not long" --durations=10

.PHONY: test-long
test-long: setup ## the long tests: big counts, kills, slow machinery
	@$(PY) -m pytest -n $(WORKERS) -m long --durations=10 --timeout=900

.PHONY: check
check: setup ## ruff, mypy strict, import contracts, SQL lint
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m sqlfluff lint --disable-progress-bar sql

.PHONY: bench
bench: setup ## ratios against a peer in the same run
	@$(PY) -m bench

.PHONY: bench-matching
bench-matching: setup ## 100,000 hustlers × 10,000 broadcasts, and how the core grows
	@$(PY) -m bench.matching

.PHONY: bench-presence
bench-presence: setup ## what a heartbeat costs, of these ratios
	@$(PY) -m bench.micro.presence

.PHONY: bench-first-card
bench-first-card: setup ## commit to first card, with 500, 2,000 and 10,000 sessions
	@$(PY) -m bench.micro.first_offer --sessions 500 2000 10000

.PHONY: bench-processes
bench-processes: setup ## cards between three gateways and two broadcasters
	@$(PY) -m bench.processes

.PHONY: bench-storm
bench-storm: setup ## everybody reconnects, and goes LIVE, at once
	@$(PY) -m bench.storm

.PHONY: bench-gateway
bench-gateway: setup ## sessions of one core: fan-out, heartbeats, memory, stalled readers
	@$(PY) -m bench.gateway

.PHONY: load
load: ## people under locust against a service of their own (LOAD="--shape storm")
	@sh deploy/setup.sh requirements-load.lock
	@$(PY) -m bench.load $(LOAD)

.PHONY: load-ui
load-ui: ## the same on locust's web page, until Ctrl-C
	@sh deploy/setup.sh requirements-load.lock
	@$(PY) -m bench.load --ui $(LOAD)

.PHONY: lock
lock:  # pin the dependencies anew; needs uv
	uv pip compile -q pyproject.toml --extra embedded --extra build \
	    --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    -o requirements.lock
	uv pip compile -q pyproject.toml --extra embedded --extra build --extra dev \
	    --constraint requirements.lock \
	    --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    -o requirements-dev.lock
	uv pip compile -q pyproject.toml --extra stripe --extra build \
	    --constraint requirements-dev.lock \
	    --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    -o requirements-production.lock
	uv pip compile -q pyproject.toml --extra embedded --extra build --extra load \
	    --constraint requirements-dev.lock \
	    --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    -o requirements-load.lock

.PHONY: clean
clean: ## remove .venv, caches and the data of `make demo`
	rm -rf .venv .hustlexp .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	    build dist ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs Python 3.11 or newer and nothing else: each target makes the environment that it works in.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help serve test test-postgres install lint format bench db-reset clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.installed ## Run the proxy and its dashboard until Ctrl-C
	@exec $(BIN)/ccproxy serve

test: $(VENV)/.installed-dev ## Run the tests
	$(BIN)/pytest

test-postgres: $(VENV)/.installed-dev ## Run the store's tests against a PostgreSQL server of their own
	.ci/postgres $(BIN)/pytest tests/stores tests/ingest tests/analysis tests/promises/test_postgres.py

install: $(VENV)/.installed-dev ## Make the environment with everything in it

lint: $(VENV)/.installed-dev ## Check style, types and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/interrogate -q ccproxy analysis dashboards

format: $(VENV)/.installed-dev ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## Measure what capture costs, against a stand-in on this machine
	$(BIN)/python benchmarks/overhead.py

db-reset: $(VENV)/.installed ## Delete all captures, after asking
	@$(BIN)/ccproxy db reset

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ccproxy needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# Two commands on a fresh machine, nothing before them: `make reproduce-table1` and `make test`.
# ILSVRC2010=/path/to/ILSVRC2010 makes the first one run on the real photographs.

PYTHON ?= python3
BIN := .venv/bin
ALEXREPRO := $(BIN)/alexrepro
STAMP := .venv/.installed
RECIPE := $(if $(ILSVRC2010),as-run-2010,tiny)
DATASET := $(if $(ILSVRC2010),ilsvrc2010,ilsvrc2010-miniature)
RUN_OF := $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["run"])'

.DEFAULT_GOAL := help
.PHONY: help setup test test-fast check fix docs lock reproduce-table1 clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv from the lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'alexrepro needs Python 3.11 or newer; name one with: make setup PYTHON=python3.12'; exit 78; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

reproduce-table1: $(STAMP) ## Table 1, on ILSVRC2010=/path or else on the built-in miniature
ifndef ILSVRC2010
	@echo 'No ILSVRC2010=/path was given: this is the built-in miniature, 20 classes of drawn shapes.' >&2
endif
	$(ALEXREPRO) prepare '$(or $(ILSVRC2010),miniature)'
	run="$$($(ALEXREPRO) train $(RECIPE) --store $(DATASET) --json | $(RUN_OF))" && \
	  $(ALEXREPRO) evaluate "$$run" && $(ALEXREPRO) evaluate "$$run" --ten-crop
	$(ALEXREPRO) report table-1

test: $(STAMP) ## The test suite
	$(BIN)/python -m pytest

test-fast: $(STAMP) ## The test suite without its slow tests
	$(BIN)/python -m pytest -m 'not slow'

check: $(STAMP) ## Formatting, lint, types, architecture, fresh docs, spelling
	$(BIN)/ruff format --check src tests docs benchmarks
	$(BIN)/ruff check src tests docs benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/docs
	$(BIN)/python docs/generate.py --check
	$(BIN)/codespell src tests docs README.md CHANGELOG.md

fix: $(STAMP) ## Format and repair what can be repaired
	$(BIN)/ruff check --fix src tests docs benchmarks
	$(BIN)/ruff format src tests docs benchmarks

docs: $(STAMP) ## Write the generated pages anew
	$(BIN)/python docs/generate.py

lock: ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --upgrade -o requirements.lock

clean: ## Remove the environment and caches, never stores or runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

# orderlake: the commands of a working day. `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# The first Python of at least 3.11 on the path; PYTHON=/path/to/python overrides.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test lint format check ui screenshots up down clean lock

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install the pinned, hash-checked dependencies

# uv installs the closure of constraints.txt in seconds; where it cannot reach the index (an index configured
# for pip alone), pip does the same in minutes. uv itself is installed by hash from the same file.
$(STAMP): constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; install one or name it: make install PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' constraints.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@echo "installing $$(grep -c '^[a-z]' constraints.txt) pinned packages into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r constraints.txt \
	  || $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install ## Produce 20,000 dirty orders, land them, build the graph, show what happened
	@$(BIN)/orderlake demo

test: install lint ## Lint, then run all tests (starts a real Kafka broker once)
	@$(BIN)/python -m pytest

lint: install ## ruff, import-linter and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --config pyproject.toml
	@$(BIN)/mypy

format: install ## Format and sort imports
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

ui: install ## Open the Dagster UI (webserver and daemon) on this lake
	@$(BIN)/orderlake ui

screenshots: install ## Take the pictures in docs/images from the UI (needs Chromium)
	@$(BIN)/python -m pytest -q tests/integration/test_ui_browser.py --screenshots docs/images

up: install ## Start the servers of the profile (embedded: a Kafka broker)
	@$(BIN)/orderlake up

down: install ## Stop them
	@$(BIN)/orderlake down

clean: ## Stop the servers, delete this lake (.orderlake) and .venv
	@if [ -x $(BIN)/orderlake ]; then $(BIN)/orderlake down; fi
	rm -rf .orderlake $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

lock: install ## Resolve pyproject.toml again into constraints.txt (versions and hashes, no addresses)
	@$(BIN)/uv pip compile pyproject.toml --group build --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --annotation-style line --quiet --output-file constraints.txt

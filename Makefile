# Everything a person, a hook or CI does with Temula. `make help` explains the targets.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
only ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test check bench conformance reference ci lock clean

help: ## Explain these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/run.stamp ## Start Temula on PORT (default 8080) with everything it needs; Ctrl-C stops it
	@PORT=$(PORT) $(BIN)/temula up

demo: $(VENV)/run.stamp ## Play the main job against the running server and verify every webhook
	@$(BIN)/temula demo

test: $(VENV)/dev.stamp ## Run the tests; `only=payments` narrows them; nothing has to be started before
	@$(BIN)/python -m pytest $(if $(only),-k '$(only)')

check: $(VENV)/dev.stamp ## Check format, lint, types and the import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/contracts.txt || (cat $(VENV)/contracts.txt; exit 1)
	@tail -n 2 $(VENV)/contracts.txt

bench: $(VENV)/dev.stamp ## Run the benchmarks behind every figure in the README; `only=api` narrows them
	@$(BIN)/python -m benchmarks $(only)

conformance: $(VENV)/dev.stamp ## Check Temula as a webhook sender, about a minute; `only=retry.*` narrows it
	@$(BIN)/python -m conformance --adapter temula $(if $(only),--only '$(only)')

reference: $(VENV)/dev.stamp ## Write the generated pages of docs/reference/
	@$(BIN)/python -m tools.reference

ci: ## What CI runs
	@bash .ci/run

lock: $(VENV)/dev.stamp ## Resolve all dependencies anew into locks/
	@$(PIP) install uv
	@for name in run dev; do \
	  groups="--group build"; test $$name = dev && groups="--group build --group dev"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate pyproject.toml $$groups --output-file locks/$$name.txt; done

clean: ## Remove the virtual environment and caches; data under var/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  (echo "Temula needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2)
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: locks/run.txt pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV)"
	@$(PIP) install --require-hashes --requirement locks/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: locks/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV)"
	@$(PIP) install --require-hashes --requirement locks/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/run.stamp

# The testbed's tasks. `make run` and `make test` set themselves up in .venv on first use.
# Needs Python 3.11 or newer and make; another Python: make run PYTHON=/path/to/python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCENARIO ?= laptop
RUN_OPTIONS ?=
TEST_OPTIONS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench clean

help:
	@echo "make run      run the '$(SCENARIO)' scenario (SCENARIO=..., RUN_OPTIONS='--duration 20')"
	@echo "make test     all tests (TEST_OPTIONS='-k wire')"
	@echo "make check    style, types, import contract"
	@echo "make bench    measure this machine"
	@echo "make setup    only prepare .venv"
	@echo "make clean    remove .venv and caches; runs/ stays"

setup: $(READY)

# Done again only when pyproject.toml changes. A set-up that broke off leaves no .ready, and is repeated.
$(READY): pyproject.toml
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "make: no '$(PYTHON)' here: install Python 3.11 or newer, or name one with PYTHON=..." >&2; exit 3; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $$("$(PYTHON)" --version) is too old: Python 3.11 or newer is needed, name one with PYTHON=..." >&2; exit 3; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: this Python cannot make virtual environments: install its venv package (Debian: apt-get install python3-venv)" >&2; exit 3; }
	@echo "Setting up $(VENV): some 300 MB are fetched once, a few minutes"
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -e '.[lab,dev]'
	@touch $@
	@echo "Set up."

run: $(READY)
	@$(BIN)/testbed run $(SCENARIO) $(RUN_OPTIONS)

test: $(READY)
	@$(BIN)/python -m pytest $(TEST_OPTIONS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/testbed bench all

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make train    trains SPE to count cycles: the zoo's first five minutes
# make test     runs the test suite (no GPU, no network, no account)
# make check    runs the linters and the type checker
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install train test test-slow check

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Eigenzoo needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + "; give another one: make PYTHON=python3.12")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

train: install
	$(BIN)/eigenzoo fit --recipe spe/counting

test: install
	$(BIN)/python -m pytest

test-slow: install
	$(BIN)/python -m pytest -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

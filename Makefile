# Sets up and runs everything: `make demo`, `make test`, `make check`, `make docs`, `make wheel`.
# Needs Python >= 3.11 and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
READY := $(VENV)/.ready
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python \
	--constraint constraints.txt --override overrides.txt

.PHONY: demo test lint check setup docs wheel clean

demo: setup
	$(BIN)/detnas demo

test: setup
	$(BIN)/python -m pytest tests --numprocesses $(JOBS) --dist loadfile

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test

docs: setup
	$(BIN)/python scripts/docs/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON=$(BIN)/python scripts/release/build_wheel.sh

setup: $(READY)

$(READY): setup.py constraints.txt overrides.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "DetNAS needs Python >= 3.11; name one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(INSTALL) --compile-bytecode --editable '.[onedl,demo,fast,pareto,ray,report,tensorboard,deploy,timm,docs,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV)

# `make launch` and `make test` set themselves up: a virtual environment in .venv, tested versions.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: launch test test-slow lint clean

launch: .venv/ready
	$(BIN)/hpsearch launch studies/digits.yaml

test: lint
	$(BIN)/python -m pytest -n 2

test-slow: .venv/ready
	$(BIN)/python -m pytest -m slow

lint: .venv/ready
	$(BIN)/ruff check hpsearch tests benchmarks studies
	$(BIN)/ruff format --check hpsearch tests benchmarks studies
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--config-settings editable_mode=compat --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache

# One environment in .venv, made on first use and remade when the versions change.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready

.PHONY: train test quick lint docs bench ui clean

train: $(READY)  ## the default experiment
	$(VENV)/bin/python -m hiexp.train

test: lint  ## style, types and contracts, then the whole suite, end-to-end runs included
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

quick: $(READY)  ## the tests that take no more than a moment each
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(READY)  ## style, types, and the contracts between packages
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/mypy

ui: $(READY)  ## the MLflow UI over the runs of this folder
	$(VENV)/bin/python -m mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db

docs: $(READY)  ## the site, in docs/_build/html/index.html
	$(VENV)/bin/codespell README.md CONTRIBUTING.md docs conf hiexp
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet --jobs auto docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

# Those of a few minutes together; make bench BENCH="cnn_grid survey" takes a quarter of an hour.
BENCH ?= starts images mock_sky pictures reading fitting

bench: $(READY)  ## what is fast, measured again, beside what it was
	for script in $(BENCH); do $(VENV)/bin/python benchmarks/$$script.py || exit 1; done
	$(VENV)/bin/python benchmarks/history.py $(BENCH)

clean:  ## remove the environment; runs/ and mlruns/ are yours and stay
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $(READY)

# Every verb a person needs; CI calls the same ones. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
export DO_NOT_TRACK := true

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: .venv/ready ## make .venv with exactly the pinned versions

.venv/ready: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

init: venv # the repositories that DVC needs; nothing to do in a clone
	@git rev-parse --git-dir > /dev/null 2>&1 || git init -q
	@test -f .dvc/config || $(BIN)/dvc init -q

demo: init ## train, compress, compare, choose and package the digits plan; then show the numbers
	$(BIN)/stillroom run

test: init lint types contracts ## lint, types, contracts, unit, integration and one end-to-end path
	$(BIN)/pytest -n 2 --dist loadscope --cov --cov-report=term:skip-covered -m "not integration and not e2e"
	$(BIN)/pytest --cov --cov-append --cov-report=term:skip-covered -m "(integration or e2e) and not slow"

unit: init ## the tests that take under a minute
	$(BIN)/pytest -n 2 --dist loadscope -m "not integration and not e2e and not slow"

slow: init ## the tests that take many minutes: fleets of workers, every technique with every end
	$(BIN)/pytest -m slow

lint: venv ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv ## mypy --strict
	$(BIN)/mypy

contracts: venv ## what may import what
	$(BIN)/lint-imports

schemas: venv ## JSON Schemas of the files under params/, for editors
	$(BIN)/python -m tasks schemas

ui: init ## MLflow and Prefect pages on 127.0.0.1
	$(BIN)/stillroom ui

.PHONY: help venv init demo test unit slow lint types contracts schemas ui

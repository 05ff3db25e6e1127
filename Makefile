# Short names for what people type every day: each target calls `omni`, which has every other command (omni --help).
override SHELL := /bin/bash
.DEFAULT_GOAL := help
override VENV := .venv
override OMNI := $(VENV)/bin/omni
# Libraries that would otherwise call home or fetch something at import.
export LITELLM_LOCAL_MODEL_COST_MAP = True
export MLFLOW_DISABLE_TELEMETRY = true
export PYTHONUNBUFFERED = 1

# What is typed after a target (make promote PAIR=x WHY="...") never becomes part of a command line: it travels in an environment
# variable, byte for byte, and the shell quotes it. `value` keeps make from expanding it here, `unexport` when a command starts.
# Only what is typed counts; a variable of the same name that happens to be set in the environment changes nothing. `override`:
# this file's own names cannot be typed over.
override TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(TYPED),$(eval export OMNI_MAKE_$(name) := $$(value $(name))))
unexport $(TYPED)
override is_typed = $(if $(filter $(1),$(TYPED)),$(if $(value $(1)),yes))
override text = "$${OMNI_MAKE_$(1)}"
override option = $(if $(call is_typed,$(1)),--$(2)=$(call text,$(1)))
override flag = $(if $(call is_typed,$(1)),--$(2))
override pair = $(if $(call is_typed,PAIR),-- $(call text,PAIR))
# Simulated weeks have a state of their own, and so has what is made together with them or with TRAFFIC=1.
override simulated = $(if $(filter traffic,$(MAKECMDGOALS))$(call is_typed,TRAFFIC), --traffic)
override omni = @$(OMNI)$(simulated)

.NOTPARALLEL:
.PHONY: help setup eval gate behave sweep cases calibrate selftest promote rollback rollout history verify serve up down infra report harvest traffic lint check test drill bench load chaos

help: ## Print this list
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST); printf '\nEvery other command: %s --help\n' "$(OMNI)"

##@ Set up
setup: ## Create .venv from hash-locked lists: make setup [PYTHON=python3.11] [EXTRAS=1: hear recordings, find names, search documents; 0.6 GB]
	@tools/setup.sh base $(if $(call is_typed,EXTRAS),extras) $(if $(filter setup,$(MAKECMDGOALS)),next)

##@ Evaluate
eval: setup ## Evaluate pairs to a verdict: make eval [PAIRS=a,b] [DATASET=tweetsumm] [CASES=40] [FRESH=1]
	$(omni) eval $(call option,TASK,task) $(call option,PAIRS,pairs) $(call option,DATASET,dataset) $(call option,CASES,cases) $(call option,REPEATS,repeats) $(call option,BUDGET,budget) $(call option,CONCURRENCY,concurrency) $(call flag,FRESH,fresh)

gate: setup ## Behaviour and evaluation of one pair to one verdict: make gate PAIR=name [TASK=scorecard]
	$(omni) gate $(call option,TASK,task) $(call option,CONCURRENCY,concurrency) $(pair)

behave: setup ## Must-behave cases and attacks against the running service: make behave PAIR=name [URL=http://...]
	$(omni) behave $(call option,TASK,task) $(call option,URL,url) $(call option,CONCURRENCY,concurrency) $(pair)

sweep: setup ## Cross prompts with models: make sweep MODELS=a,b [PAIRS=x,y] [DATASET=] [CASES=] [QUALITY=] [STAND_IN=1]
	$(omni) sweep $(call option,TASK,task) $(call option,MODELS,models) $(call option,PAIRS,pairs) $(call option,DATASET,dataset) $(call option,CASES,cases) $(call option,REPEATS,repeats) $(call option,CONCURRENCY,concurrency) $(call option,QUALITY,quality) $(call flag,STAND_IN,stand-in)

cases: setup ## Check all case files: faults, copies, balance, judge labels: make cases [TASK=summarize] [DATASET=dev]
	$(omni) cases $(call option,TASK,task) $(call option,DATASET,dataset)

calibrate: setup ## Measure judges and detectors on labelled rows: make calibrate [JUDGE=faithfulness] [MODEL=id] [SETS=own]
	$(omni) calibrate $(call option,TASK,task) $(call option,JUDGE,judge) $(call option,MODEL,model) $(call option,SETS,sets) $(call option,REPEATS,repeats) $(call flag,FRESH,fresh)

selftest: setup ## Plant bad pairs before the gate; it must reject each: make selftest [ENGINE=scripted,extractive,bundled] [SEEDS=3]
	$(omni) selftest $(call option,TASK,task) $(call option,ENGINE,engine) $(call option,SEEDS,seeds) $(call option,CASES,cases) $(call option,DATASET,dataset) $(call option,MUTANTS,mutants) $(call flag,FRESH,fresh)

##@ Release
promote: setup ## Release a pair whose gate passed: make promote PAIR=name WHY="one sentence"
	$(omni) promote $(call option,TASK,task) $(call option,WHY,why) $(pair)

rollback: setup ## Return to the release before: make rollback WHY="one sentence" [TO=release-number]
	$(omni) rollback $(call option,TASK,task) $(call option,WHY,why) $(call option,TO,to)

rollout: setup ## Put a passed pair beside production, or move it on: make rollout PAIR=name WHY="..." [STEPS=10,25,50,100] [SHADOW=5]
	$(omni) rollout $(call option,TASK,task) $(call option,WHY,why) $(call option,STEPS,steps) $(call option,SHADOW,shadow) $(call flag,SHADOW_ONLY,shadow-only) $(call flag,RESTART,restart) $(pair)

history: setup ## Who released what, when, why, on which evidence
	$(omni) history $(call option,TASK,task)

verify: setup ## Check every release: signatures, chain, contents, evidence, alias
	$(omni) verify $(call option,TASK,task)

##@ Serve
serve: setup ## Serve the pair in production on http://127.0.0.1:8080, starting what it needs: make serve [PORT=8081]
	$(omni) serve $(call option,PORT,port)

up: setup ## Start the local AWS, with the stores of the committed template, and the bundled model: make up
	$(omni) up

down: setup ## Stop what `make up` and `make serve` started beside the service
	$(omni) down

##@ Deploy
infra: ## Make the templates of dev, test and prod, check and test them; WRITE=1 keeps them in infra/cdk/templates
	@tools/setup.sh infra && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/infra.sh $(call flag,WRITE,write)

##@ Report, and learn from it
report: setup ## Write the weekly report: make report [WEEK=2026-W47] [ZONE=Europe/Berlin]
	$(omni) report $(call option,TASK,task) $(call option,WEEK,week) $(call option,ZONE,zone)

harvest: setup ## Propose cases from a week's unhelpful summaries: make harvest [WEEK=2026-W46]; then omni harvest review
	$(omni) harvest propose $(call option,TASK,task) $(call option,WEEK,week)

traffic: setup ## Simulated weeks of agents, then the report on them: make traffic report [SEED=1] [WEEKS=4] [PER_DAY=200]
	$(omni) traffic $(call option,SEED,seed) $(call option,WEEKS,weeks) $(call option,PER_DAY,per-day)

##@ Work on the project itself
lint: setup ## Style, types, workflows and import contracts
	@tools/lint.sh

check: lint ## Lint and the fast tests: about a minute
	@$(VENV)/bin/python -m pytest tests/unit tests/contract -q -n auto --maxprocesses=4 --dist=worksteal --hypothesis-profile=check -m "not slow and not drill"

test: setup ## Set everything up (browser, Node.js and speech too), lint, and run the tests: 15 to 18 minutes on two cores
	@tools/lint.sh compile-tests && tools/setup.sh chromium node image extras && env -u PYTHONDONTWRITEBYTECODE PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m pytest -q -n auto --maxprocesses=4 --dist=worksteal --hypothesis-profile=check --show-capture=no -m "not drill" # a failing service logs thousands of lines

drill: setup ## Run what takes too long for `make test`, as each night; omni doctor --release shows the last result
	@tools/setup.sh chromium node image extras && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m pytest -q -n auto --maxprocesses=4 --dist=worksteal --show-capture=no -m drill --drill-result=docs/drill.json

bench: setup ## Compressed histories, and the harness against a bare loop on an echo model; omni bench --help has more
	$(omni) bench history && $(OMNI) bench harness

load: setup ## Load the service: 50 agents, 500 at once, 100 to 1,000, transfers: make load [ONLY=transfer] [PROCESSES=1]
	@PYTHONPATH=. $(VENV)/bin/python tests/load/run.py load $(call option,ONLY,only) $(or $(call option,PROCESSES,processes),--processes=2)

chaos: setup ## Break what the service stands on, one thing at a time, under load: make chaos [ONLY=registry]
	@PYTHONPATH=. $(VENV)/bin/python tests/load/run.py chaos $(call option,ONLY,only)

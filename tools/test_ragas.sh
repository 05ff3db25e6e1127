#!/usr/bin/env bash
# Runs what needs ragas in an environment of its own (.venv-ragas): ragas needs older libraries than the project.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh ragas
# -W default: ragas' own dependencies warn about their futures.
RAGAS_DO_NOT_TRACK=true PYTHONPATH=. .venv-ragas/bin/python -m pytest -q -W default \
  tests/unit/eval/scorers/test_ragas.py tests/integration/evaluation/test_ragas_run.py

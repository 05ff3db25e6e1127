#!/usr/bin/env bash
# Runs the ragas scorers' tests in an environment of their own (.venv-ragas): ragas needs older libraries than the project.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .venv-ragas
.venv/bin/uv pip install --quiet --python .venv-ragas/bin/python -e ".[eval,ragas]" pytest pytest-asyncio rouge-score
RAGAS_DO_NOT_TRACK=true .venv-ragas/bin/python -m pytest -q -W default tests/unit/eval/scorers/test_ragas.py

#!/usr/bin/env bash
# Removes the virtual environments, the caches and ALL local state, keys and releases too. Asks nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf .venv .venv-ragas .venv-feast .venv-service .omni mlflow/store reports/out .mypy_cache .ruff_cache .pytest_cache

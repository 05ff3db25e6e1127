#!/usr/bin/env bash
# Style, types, workflows and import contracts.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
$bin/ruff check --quiet .
$bin/ruff format --check --quiet .
$bin/mypy
$bin/zizmor --offline --quiet --no-progress --min-severity medium .github
$bin/lint-imports --no-logo 2>/dev/null || $bin/lint-imports

#!/usr/bin/env bash
# Style, types, workflows and import contracts: tools/lint.sh [compile-tests]. With compile-tests, pytest compiles the test files
# with their asserts meanwhile; each of its workers would do it anew.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
if [ "${1:-}" = compile-tests ]; then
  env -u PYTHONDONTWRITEBYTECODE $bin/python -m pytest -q --collect-only >/dev/null 2>&1 &
  trap 'kill $! 2>/dev/null || true' ERR
fi
$bin/ruff check --quiet .
$bin/ruff format --check --quiet .
$bin/mypy
$bin/zizmor --offline --quiet --no-progress --min-severity medium .github
$bin/lint-imports --no-logo 2>/dev/null || $bin/lint-imports
wait # its outcome is nothing: the tests themselves say what is wrong

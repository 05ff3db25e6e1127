#!/usr/bin/env bash
# Compares features of 10,000 made-up customers, each as known at a time of its own, with Feast's (in .venv-feast): every value.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh feast
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
.venv/bin/omni bench features --customers "${1:-10000}" --served 0 --keep "$kept"
FEAST_USAGE=False .venv-feast/bin/python -W ignore tools/feast_reference.py "$kept"

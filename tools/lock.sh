#!/usr/bin/env bash
# Resolves the dependencies again and writes the locked lists (needs a .venv).
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate "$@"
}
development=(--extra local --extra eval --extra warehouse --extra cluster --extra tools --extra dev)
compile --upgrade pyproject.toml -o requirements/service.txt
cp requirements/service.txt requirements/tools.txt # the same versions, and what a service with functions as tools needs
compile --extra tools pyproject.toml -o requirements/tools.txt
compile --upgrade "${development[@]}" pyproject.toml -o requirements/dev.txt
cp requirements/dev.txt requirements/workers.txt
compile --extra eval --extra warehouse --extra tools pyproject.toml -o requirements/workers.txt
cp requirements/dev.txt requirements/extras.txt # the same versions, and more packages
compile "${development[@]}" --extra speech --extra voices --extra redaction --extra knowledge pyproject.toml -o requirements/extras.txt
compile --upgrade requirements/infra.in -o requirements/infra.txt
compile --extra local --extra eval --extra warehouse --extra ragas pyproject.toml requirements/ragas.in -o requirements/ragas.txt
compile requirements/feast.in -o requirements/feast.txt # the reference for features
compile --constraint requirements/dev.txt requirements/registry.in -o requirements/registry.txt # MLflow's server, in its own image
compile --upgrade requirements/node.in -o requirements/node.txt # where the system's own is too old
compile requirements/clients.in -o requirements/clients.txt # generates the API's clients
compile requirements/audit.in -o requirements/audit.txt # looks for known holes, in the workflow "dependencies"

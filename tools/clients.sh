#!/usr/bin/env bash
# Generates the API's clients from the OpenAPI document: tools/clients.sh [FOLDER], by default dist/clients. Needs Node.js and npm.
# What is written: openapi.json, python/ (pip install FOLDER/python) and javascript/ (npm install FOLDER/javascript).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD out=$(realpath -m "${1:-dist/clients}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PATH="$root/.venv/bin:$PATH" # the generator formats with ruff

mkdir -p "$work/javascript"
PYTHONPATH=. python -c "
import json
from service.app import create_app
from service.kit.settings import Settings
print(json.dumps(create_app(Settings()).openapi(), indent=1))" >"$work/openapi.json"

uv venv --quiet --python "$root/.venv/bin/python" "$work/generator"
uv pip install --quiet --python "$work/generator/bin/python" --require-hashes -r requirements/clients.txt
"$work/generator/bin/openapi-python-client" generate --path "$work/openapi.json" --meta uv --fail-on-warning \
  --config tools/clients/python.yaml --output-path "$work/python"

cp tools/clients/{package.json,package-lock.json,openapi-ts.config.mjs} "$work/openapi.json" "$work/javascript"
cd "$work/javascript"
npm ci --ignore-scripts --no-audit --no-fund --silent
node_modules/.bin/openapi-ts --no-log-file --silent
node_modules/.bin/tsc --outDir lib --declaration --target es2022 --module nodenext --skipLibCheck src/index.ts
rm -rf node_modules src openapi.json openapi-ts.config.mjs package-lock.json
npm pkg delete devDependencies

# Whole or not at all: an interrupted run leaves what was there.
mkdir -p "$(dirname "$out")" && rm -rf "$out.new" && mkdir "$out.new"
mv "$work/openapi.json" "$work/python" "$work/javascript" "$out.new"
rm -rf "$out" && mv "$out.new" "$out"
echo "wrote openapi.json, python/ and javascript/ to $out"

#!/usr/bin/env bash
# Makes the templates of every environment, checks them (cdk-nag, cfn-lint) and tests what they promise: tools/infra.sh [--write]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv-infra/bin
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
began=$SECONDS
# With --write also what the gateway knows of the service's operations.
[ "${1:-}" != --write ] || PYTHONPATH=. .venv/bin/python infra/cdk/openapi.py
# The CDK also prints to its log what accepted.yaml covers; app.py prints what it does not.
PYTHONPATH=. $bin/python infra/cdk/app.py --out "$out" "$@" 2>"$out/log" || {
  tail -5 "$out/log" >&2
  exit 1
}
$bin/cfn-lint --config-file infra/cdk/.cfnlintrc -- "$out"/*/*.template.json
PYTHONPATH=. $bin/python -m pytest -q -c infra/cdk/pytest.ini infra/cdk/tests --templates "$out"
echo "Templates made, checked and tested in $((SECONDS - began)) s."

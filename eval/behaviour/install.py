"""Installs promptfoo from its lock file into the state folder, and sets it up to run without telemetry."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from eval.spine.errors import HarnessError
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

PROJECT = Path(__file__).resolve().parents[1] / "promptfoo"
_LOCKED = ("package.json", "package-lock.json")
_SCRIPTS = ("provider.mjs", "strategies.mjs")
_OLDEST_NODE = 22  # promptfoo's support of 20 ended on 2026-07-30
_NOWHERE = "http://127.0.0.1:9"  # the discard port: connections to other machines are refused at once


def engine_version() -> str:
    """Return promptfoo's pinned version."""
    return str(json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))["dependencies"]["promptfoo"])


def search_path() -> str:
    """Return the folders to look for Node.js in: this environment's own, where ``tools/setup.sh node`` puts it, then PATH."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def node_environment(folder: Path, *, allowed_hosts: str = "") -> dict[str, str]:
    """Return the variables of promptfoo's processes: no telemetry, no updates, no remote generation, own state folder.

    A proxy on the discard port blocks the one request that the telemetry switches do not prevent (r.promptfoo.app).
    ``allowed_hosts`` (comma separated) and this machine stay reachable.
    """
    hosts = ",".join(filter(None, ("127.0.0.1", "localhost", "::1", allowed_hosts)))
    kept: Mapping[str, str] = {
        name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "OMNI_TOKEN") if name in os.environ
    }
    return {
        **kept,
        "PATH": search_path(),
        "PROMPTFOO_CONFIG_DIR": str(folder / "state"),
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        "PROMPTFOO_DISABLE_REDTEAM_REMOTE_GENERATION": "1",
        "PROMPTFOO_DISABLE_SHARING": "1",
        "PROMPTFOO_CACHE_ENABLED": "false",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "NO_PROXY": hosts,
        "NO_COLOR": "1",
        "NODE_NO_WARNINGS": "1",
    }


def install(settings: Settings) -> Path:
    """Return the folder that holds promptfoo as locked, installing it first if it is not there (281 MB, about half a minute)."""
    _require_platform()
    locked = "".join((PROJECT / name).read_text(encoding="utf-8") for name in _LOCKED)
    folder = settings.state_dir / f"promptfoo-{sha256_hex(locked)[:12]}"
    if not (folder / "node_modules").exists():
        _npm_ci(folder)
    for name in _SCRIPTS:
        shutil.copy2(PROJECT / name, folder / name)
    return folder


def _require_platform() -> None:
    system, machine = sys.platform, platform.machine().lower()
    if system != "linux" or machine not in ("x86_64", "amd64"):
        raise HarnessError(
            f"the behaviour checks are locked for linux on x64; this is {system} on {machine}. Run them in a linux/amd64 "
            "container or in CI: docker run --platform linux/amd64 -v $PWD:/repo -w /repo <image with Python 3.11 and Node 22>"
        )
    for program in ("node", "npm"):
        if shutil.which(program, path=search_path()) is None:
            raise HarnessError(
                f"{program} is not installed; the behaviour checks need Node.js {_OLDEST_NODE} or newer: tools/setup.sh node"
            )
    version = _run(["node", "--version"]).stdout.strip()
    major = version.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < _OLDEST_NODE:
        raise HarnessError(
            f"Node.js is {version or 'broken'}; the behaviour checks need {_OLDEST_NODE} or newer: tools/setup.sh node"
        )


def _run(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": search_path()}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def _npm_ci(folder: Path) -> None:
    say(f"installing promptfoo {engine_version()} into {folder.name} (281 MB, once)", file=sys.stderr, flush=True)
    # Install into a temporary folder, then rename it, so that an interrupted installation is not taken for a complete one.
    building = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        for name in _LOCKED:
            shutil.copy2(PROJECT / name, building / name)
        command = ["npm", "ci", "--omit=optional", "--omit=peer", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = _run(command, building)
        if done.returncode != 0:
            said = " ".join(line for line in done.stderr.splitlines() if line.startswith("npm error"))[:400]
            raise HarnessError(
                f"npm could not install promptfoo ({said or f'exit code {done.returncode}'}); "
                "check that this machine reaches an npm registry (npm config get registry), then run again"
            )
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)

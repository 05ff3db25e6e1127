"""Builds the images of ``infra/image/Dockerfile`` as root file systems, and runs them, without a container engine.

    sudo .venv/bin/python tools/rehearse_image.py build service --into /tmp/images
    sudo .venv/bin/python tools/rehearse_image.py run service --into /tmp/images \
        --volume /tmp/state -e OMNI_ENVIRONMENT=aws -- serve

Replays the file's own lines: ``FROM`` a slim Debian becomes mmdebstrap's ``minbase`` of the same release (fetched now, so the
digest is not what is tried), other stages are copied, ``RUN`` runs in a chroot. ``run`` starts the image's command as the image's
user, in mount and process namespaces of its own: the root is read-only, ``/tmp`` is empty, volumes are writable, no capability is
left. The network is this machine's. Needs root. Exit codes: the command's own; 2 could not run.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any

from dockerfile_parse import DockerfileParser
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "infra" / "image" / "Dockerfile"
NEEDED = ("mmdebstrap", "chroot", "unshare", "setpriv", "mount")
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c")
# Documentation and translations that Debian's slim images leave out.
SLIM = tuple(
    f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("man", "info", "locale", "doc", "groff", "lintian")
)
# How this machine reaches its package index: pip's own settings, seen while building and by no image.
BUILD_ENV = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


class CannotRehearse(Exception):
    """The Dockerfile or this machine does not allow it; the message says what to do."""


@dataclass(frozen=True)
class Stage:
    """A stage as it stands: its root file system and what its commands run with."""

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"

    def save(self) -> None:
        """Write what the run needs beside the root."""
        saved = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "root"}
        self.root.with_suffix(".json").write_text(json.dumps(saved), encoding="utf-8")

    @classmethod
    def load(cls, root: Path) -> "Stage":
        """Return a saved stage."""
        saved = json.loads(root.with_suffix(".json").read_text(encoding="utf-8"))
        return cls(
            root=root, **{key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}
        )


def main() -> int:
    """Parse the command line and do one thing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("build", "run", "health", "size"):
        sub = actions.add_parser(action)
        sub.add_argument("target", help="a stage of the Dockerfile")
        sub.add_argument("--into", type=Path, required=True, help="folder of the root file systems")
        if action == "build":
            sub.add_argument("--dockerfile", type=Path, default=DOCKERFILE)
        if action in ("run", "health"):
            sub.add_argument("--volume", type=Path, help="folder that is the image's first volume")
            sub.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE")
            sub.add_argument(
                "--mount", action="append", default=[], metavar="HERE:THERE", help="a file, to a place below /mnt"
            )
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:end])
    try:
        _check_machine()
        if given.action == "build":
            build(given.dockerfile, given.target, given.into)
        elif given.action == "size":
            print(size_mb(given.into / given.target))
        else:
            return run(given, words[end + 1 :])
    except CannotRehearse as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    return 0


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise CannotRehearse("root is needed for chroot and mounts; run it with sudo")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise CannotRehearse(f"{', '.join(missing)} not installed: apt-get install mmdebstrap util-linux")


def build(dockerfile: Path, target: str, into: Path) -> Stage:
    """Replay a Dockerfile until ``target`` stands as ``into/<target>``, and return it."""
    into.mkdir(parents=True, exist_ok=True)
    stages, arguments = _stages(dockerfile)
    if target not in stages:
        raise CannotRehearse(f"{dockerfile.name} has no stage {target!r}; there are {', '.join(stages)}")
    made: dict[str, Stage] = {}

    def make(name: str) -> Stage:
        if name not in made:
            base, lines = stages[name]
            made[name] = _replayed(_begun(base, into / name, make, stages), lines, dict(arguments), make)
            made[name].save()
        return made[name]

    return make(target)


def _stages(dockerfile: Path) -> tuple[dict[str, tuple[str, list[dict[str, Any]]]], dict[str, str]]:
    with dockerfile.open("rb") as file:
        structure = DockerfileParser(fileobj=file).structure
    stages: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    arguments: dict[str, str] = {}
    current: list[dict[str, Any]] | None = None
    for line in structure:
        kind, value = line["instruction"], line["value"]
        if kind == "COMMENT":
            continue
        if kind == "FROM":
            base, _, name = re.split(r"(?i)\s+(as)\s+", value)
            current = []
            stages[name] = (Template(base).substitute(arguments), current)
        elif current is not None:
            current.append(line)
        elif kind == "ARG":
            name, _, default = value.partition("=")
            arguments[name] = default
        else:
            raise CannotRehearse(f"{kind} stands before the first FROM")
    return stages, arguments


def _begun(base: str, root: Path, make: Any, stages: Mapping[str, Any]) -> Stage:
    shutil.rmtree(root, ignore_errors=True)
    if base in stages:
        before = make(base)
        subprocess.run(["cp", "--archive", "--reflink=auto", before.root, root], check=True)
        return replace(before, root=root)
    found = re.fullmatch(r"debian:([a-z]+)-slim@sha256:[0-9a-f]{64}", base)
    if found is None:
        raise CannotRehearse(f"the base {base!r} is no slim Debian with a digest")
    print(f"{root.name}: Debian {found[1]}, as {base.partition('@')[0]}", flush=True)
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", *SLIM, found[1], str(root)], check=True, stdin=subprocess.DEVNULL
    )
    return Stage(root=root)


def _replayed(stage: Stage, lines: Sequence[Mapping[str, Any]], arguments: dict[str, str], make: Any) -> Stage:
    for line in lines:
        kind, value = line["instruction"], line["value"]
        if kind == "RUN":
            print(f"{stage.root.name}: {value[:110]}", flush=True)
            _run_in(stage, value)
        elif kind == "COPY":
            _copy(stage, shlex.split(value), make)
        elif kind == "ENV":
            pairs = dict(part.split("=", 1) for part in shlex.split(value))
            stage = replace(stage, env={**stage.env, **pairs})
        elif kind == "WORKDIR":
            (stage.root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            stage = replace(stage, workdir=value)
        elif kind == "USER":
            stage = replace(stage, user=value)
        elif kind == "VOLUME":
            stage = replace(stage, volumes=tuple(json.loads(value)))
        elif kind == "ENTRYPOINT":
            stage = replace(stage, entrypoint=tuple(json.loads(value)), command=())
        elif kind == "CMD":
            stage = replace(stage, command=tuple(json.loads(value)))
        elif kind == "HEALTHCHECK":
            stage = replace(stage, health=tuple(json.loads(value.partition("CMD")[2])))
        elif kind == "STOPSIGNAL":
            stage = replace(stage, stop_signal=value)
        elif kind != "EXPOSE":
            raise CannotRehearse(
                f"{kind} is not replayed here; write it with another instruction, or add it to this tool"
            )
    return stage


def _run_in(stage: Stage, command: str) -> None:
    """Run a shell command as root in the stage; this machine's network settings and package index are mounted meanwhile."""
    certificates = os.environ.get("PIP_CERT")
    borrowed = {name: os.environ[name] for name in BUILD_ENV if name in os.environ}
    lent = [
        ("/etc/resolv.conf", "/etc/resolv.conf"),
        *((path, path) for path in _index_files() if path != certificates),
    ]
    if certificates is not None:  # not at its own place, which a package may want to replace
        borrowed["PIP_CERT"] = "/run/lent.crt"
        lent.append((certificates, borrowed["PIP_CERT"]))
    added = [_place(stage.root, there, folder=Path(here).is_dir()) for here, there in lent]
    root = shlex.quote(str(stage.root))
    script = [
        "set -e",
        "mount --make-rprivate /",
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        *(f"mount --bind {shlex.quote(here)} {shlex.quote(f'{stage.root}{there}')}" for here, there in lent),
        f"exec {shutil.which('chroot')} {root} /bin/sh -c {shlex.quote(f'cd {stage.workdir} && {command}')}",
    ]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", **borrowed, **stage.env}
    outcome = subprocess.run([*NAMESPACES, "\n".join(script)], env=env, stdin=subprocess.DEVNULL, check=False)
    for path in added:
        if path is not None:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if outcome.returncode:
        raise CannotRehearse(f"this line ended with {outcome.returncode}: {command}")


def _place(root: Path, there: str, *, folder: bool) -> Path | None:
    """Make a place where something can be mounted; return the outermost path that was added for it, None if none was."""
    place = root / there.lstrip("/")
    added = None
    for path in (place, *place.parents):
        if path.exists():
            break
        added = path
    if folder:
        place.mkdir(parents=True, exist_ok=True)
    elif added is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return added


def _index_files() -> list[str]:
    """Return the files and folders of this machine that pip's settings name."""
    quiet = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, env=quiet
    )
    settings = " ".join([listed.stdout, *(os.environ.get(name, "") for name in BUILD_ENV)])
    # The files of an index on disk stand beside its pages.
    beside = {str(Path(path).parent) for path in re.findall(r"file://(/[^\s'\"]+)", settings)}
    named = set(re.findall(r"(?<![/:\w])(/[^\s'\"]+)", settings))
    configured = {"/etc/pip.conf", str(Path("~/.config/pip/pip.conf").expanduser())}
    return sorted(path for path in beside | named | configured if Path(path).exists())


def _copy(stage: Stage, words: list[str], make: Any) -> None:
    other = None
    if words[0].startswith("--from="):
        other = make(words.pop(0).removeprefix("--from=")).root
    *sources, target = words
    place = stage.root / str(Path(stage.workdir) / target).lstrip("/")
    for source in sources:
        if other is not None:
            here = other / source.lstrip("/")
            shutil.copytree(here, place, symlinks=True, dirs_exist_ok=True)
            continue
        copied = list(_in_context(source))
        if not copied:
            raise CannotRehearse(
                f"COPY {source}: nothing is left of it in the build context; see {DOCKERFILE.name}.dockerignore"
            )
        for file in copied:
            inner = (
                file.relative_to(source)
                if (ROOT / source).is_dir()
                else Path(file.name if target.endswith("/") else "")
            )
            to = place / inner
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, to)
            os.chown(to, 0, 0)


def _in_context(source: str) -> Iterator[Path]:
    """Yield the files of the build context below ``source``, as paths relative to the repository."""
    lines = (DOCKERFILE.parent / f"{DOCKERFILE.name}.dockerignore").read_text("utf-8").splitlines()
    admitted = [Path(line[1:]) for line in lines if line.startswith("!")]
    ignored = GitIgnoreSpec.from_lines(lines[lines.index("*") + 1 :])
    begin = ROOT / source
    for file in sorted([begin] if begin.is_file() else begin.rglob("*")):
        relative = file.relative_to(ROOT)
        inside = any(relative == path or path in relative.parents for path in admitted)
        if inside and file.is_file() and not ignored.match_file(relative):
            yield relative


def size_mb(root: Path) -> int:
    """Return the size of a root file system in MB (10^6 bytes), each hard-linked file once."""
    told = subprocess.run(["du", "-s", "-x", "--block-size=1", str(root)], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[0]) // 1_000_000


def run(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Start an image's command and return its exit code; SIGTERM and SIGINT are passed on as the image's stop signal.

    ``arguments`` replace the image's CMD, if there are any.
    """
    stage = Stage.load(given.into / given.target)
    words = stage.health if given.action == "health" else (*stage.entrypoint, *(arguments or stage.command))
    env = {**stage.env, **dict(pair.split("=", 1) for pair in given.env)}
    uid, _, gid = stage.user.partition(":")
    if given.volume is not None and not given.volume.exists():  # as an engine makes a volume: the image's user owns it
        given.volume.mkdir(parents=True)
        os.chown(given.volume, int(uid), int(gid or uid))
    root = shlex.quote(str(stage.root))
    lent = [tuple(one.split(":", 1)) for one in given.mount]
    script = [
        "set -e",
        "mount --make-rprivate /",
        f"mount --bind {root} {root}",
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
        f"mount -t tmpfs -o mode=0755 tmpfs {root}/mnt",
        *([f"mount --bind {shlex.quote(str(given.volume))} {root}{stage.volumes[0]}"] if given.volume else []),
        *(f"touch {root}{there} && mount --bind {shlex.quote(here)} {root}{there}" for here, there in lent),
        f"mount -o remount,ro {root}/mnt",
        f"mount -o remount,ro,bind {root}",
        f"exec {shutil.which('chroot')} {root} /usr/bin/setpriv --reuid={uid} --regid={gid or uid} --clear-groups --no-new-privs "
        f"--bounding-set=-all --inh-caps=-all /usr/bin/env --chdir={stage.workdir} {shlex.join(words)}",
    ]
    with subprocess.Popen([*NAMESPACES, "\n".join(script)], env=env, stdin=subprocess.DEVNULL) as child:
        for sent in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sent, lambda *_: _pass_on(child.pid, signal.Signals[stage.stop_signal]))
        return child.wait()


def _pass_on(parent: int, number: signal.Signals) -> None:
    """Send a signal to the image's first process, the child of ``unshare``."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split():
        os.kill(int(child), number)


if __name__ == "__main__":
    sys.exit(main())

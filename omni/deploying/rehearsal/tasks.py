"""Containers of the templates as processes: their command, variables and secrets, with this machine's paths for the image's."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from omni.deploying.rehearsal.account import REGION, CannotDeploy
from omni.deploying.rehearsal.templates import Container
from service.kit.settings import REPO_ROOT

INSIDE = Path(__file__).with_name("inside")
DOCKERFILE = REPO_ROOT / "infra" / "image" / "Dockerfile"
_STOP_S = 20.0
_POSTGRES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


class Image:
    """What a stage of the Dockerfile adds to a container: entry point, variables, and the files that are copied from here."""

    def __init__(self, stage: str, dockerfile: Path = DOCKERFILE) -> None:
        self._dockerfile, self.stage = dockerfile, stage
        lines = self._lines(stage)
        told = dict(lines)
        self.entrypoint: tuple[str, ...] = tuple(json.loads(told.get("ENTRYPOINT", "[]")))
        variables = " ".join(rest for kind, rest in lines if kind == "ENV")
        self.variables = dict(re.findall(r"(\w+)=(\S+)", variables))
        copies = (rest.split() for kind, rest in lines if kind == "COPY" and not rest.startswith("--from"))
        self.files = {to: str(REPO_ROOT / here) for here, to in copies}
        self._application = [
            rest.split()[0].removeprefix("--from=") for kind, rest in lines if rest.endswith(" /app /app")
        ]

    def _lines(self, stage: str) -> list[tuple[str, str]]:
        text = self._dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
        found = re.search(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
        if found is None:
            raise CannotDeploy(f"{self._dockerfile.name} has no stage {stage!r}")
        lines = (line.partition(" ") for line in found[1].splitlines() if line[:1].isupper())
        return [(kind, rest.strip()) for kind, _, rest in lines]

    @property
    def has_application(self) -> bool:
        """Whether our own code is in it."""
        return bool(self._application)

    def taken_away(self) -> str:
        """Return the commands of the stage that the image stands on."""
        base = re.search(rf"^FROM (\S+) AS {self.stage}$", self._dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
        return "\n".join(rest for kind, rest in self._lines(base[1]) if kind == "RUN") if base else ""

    def unpinned(self) -> list[str]:
        """Return the commands that install packages whose hashes no list names."""
        commands = [
            part.strip()
            for kind, rest in self._lines(f"build-{self.stage}")
            if kind == "RUN"
            for part in rest.split("&&")
        ]
        return [one for one in commands if "pip install" in one and "--require-hashes" not in one]

    def application(self, folder: Path) -> Path:
        """Make ``/app`` in ``folder`` as the image has it, unless it is there; the repository's root for an image without one."""
        if not self._application:
            return REPO_ROOT
        app = folder / self.stage
        if not app.exists():
            for kind, rest in self._lines(self._application[0]):
                if kind == "COPY" and not rest.startswith("requirements/"):
                    *sources, target = rest.split()
                    for source in sources:
                        self._copy(source, app / target)
        return app

    def _copy(self, source: str, target: Path) -> None:
        """Copy what ``.dockerignore`` admits, with the compiled modules that the image makes for itself."""
        from pathspec import GitIgnoreSpec

        listed = self._dockerfile.with_name(f"{self._dockerfile.name}.dockerignore").read_text(encoding="utf-8")
        lines = listed.splitlines()
        left_out = GitIgnoreSpec.from_lines(
            line for line in lines[lines.index("*") + 1 :] if "__pycache__" not in line and not line.endswith(".pyc")
        )
        begin = REPO_ROOT / source
        for file in [begin] if begin.is_file() else begin.rglob("*"):
            relative = file.relative_to(REPO_ROOT)
            if file.is_file() and not left_out.match_file(relative):
                to = target / (file.relative_to(begin) if begin.is_dir() else file.name)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, to)


class Network:
    """The names that the rehearsal's processes resolve, in a file that each of them reads."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        # Loopback addresses of our own, so that another rehearsal on this machine has others.
        self.base = f"127.{20 + os.getpid() % 200}"
        self.file, self._certificate = folder / "names.json", certificate
        self._names: dict[str, str] = {}
        self.add({})

    def add(self, names: Mapping[str, str]) -> None:
        """Let ``names`` (a host, or a host with a port) stand for an address, or an address with a port."""
        self._names |= names
        whole = self.file.with_suffix(".new")
        whole.write_text(json.dumps(self._names), encoding="utf-8")
        whole.replace(self.file)

    def variables(self, key: str, address: str = "") -> dict[str, str]:
        """Return what makes a process one of this network: ``key`` is its access key at AWS."""
        return {
            "PYTHONPATH": str(INSIDE),
            "REHEARSAL_NAMES": str(self.file),
            "REHEARSAL_ADDRESS": address,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "rehearsal",  # pragma: allowlist secret
            "AWS_REGION": REGION,  # ECS and Lambda set both
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self._certificate),
            "SSL_CERT_FILE": str(self._certificate),
            "REQUESTS_CA_BUNDLE": str(self._certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            "no_proxy": "*",
        }


class TaskProcess:
    """A container's process; ``variables`` are added to its own, ``binaries`` is where the image's interpreter is found here."""

    def __init__(
        self,
        name: str,
        container: Container,
        image: Image,
        variables: Mapping[str, str],
        *,
        folder: Path,
        binaries: Path,
    ) -> None:
        self.name, self.folder = name, folder
        self._application = image.application(folder.parent / "images")
        self._places = {
            "/var/lib/omni": str(folder / "state"),
            "/opt/omni/bin": str(binaries),
            "/tmp": str(folder / "tmp"),  # noqa: S108  the container's own
        }
        self._places |= image.files
        for place in ("state", "tmp"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        whole = container.command if container.command[0].startswith("/") else (*image.entrypoint, *container.command)
        self._command = [self._here(part) for part in whole]
        self._health = [self._here(part) for part in container.health[1:]]
        given = {**image.variables, **container.environment}
        self._environment = {name: self._here(value) for name, value in given.items()}
        self._environment |= {**variables, "PATH": f"{binaries}:/usr/bin:/bin"}
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def _here(self, text: str) -> str:
        """``text`` with this machine's places for those of the image."""
        places = "|".join(re.escape(there) for there in self._places)
        return re.sub(rf"(?<![\w/.-])({places})(?=/|\b)", lambda found: self._places[found[1]], text)

    def start(self) -> "TaskProcess":
        """Start the process with nothing but its own variables."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._application,
                env=self._environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return self

    def healthy(self) -> bool:
        """Return whether the container's own health check passes."""
        if not self._health:
            raise CannotDeploy(f"the container {self.name} has no health check")
        done = subprocess.run(self._health, env=self._environment, capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process is None or self.process.poll() is not None

    def lines(self) -> list[str]:
        """Return the log."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []

    def last_line(self) -> str:
        """Return the last line of the log, for a message."""
        lines = self.lines()
        return lines[-1][:300] if lines else "nothing in its log"

    def kill(self) -> None:
        """End it as a power cut does, with all that it started."""
        if self.process is not None:
            _signal_group(self.process, "KILL")
            self.process.wait()

    def stop(self) -> None:
        """End it as ECS does."""
        if self.process is None or self.ended:
            return
        _signal_group(self.process, "TERM")
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()


def _signal_group(process: "subprocess.Popen[bytes]", name: str) -> None:
    try:
        os.killpg(process.pid, signal.Signals[f"SIG{name}"])
    except ProcessLookupError:
        return


class Database:
    """PostgreSQL of this machine in place of RDS: TLS, and a password for everybody."""

    def __init__(self, address: str, port: int, *, user: str, password: str, database: str, certificate: Path) -> None:
        """Make an empty database and start its server.

        Raises:
            CannotDeploy: PostgreSQL's server is not installed, or does not start.
        """
        self._programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="rehearsal-postgres-"))
        self._address, self._port, self._user, self._password = address, port, user, password
        # The server refuses to run as root.
        self._runs_as = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        (self.folder / "password").write_text(password, encoding="utf-8")
        shutil.copy(certificate, self.folder / "server.pem")
        (self.folder / "server.pem").chmod(0o600)
        if self._runs_as is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._runs_as.pw_uid, self._runs_as.pw_gid)
        self.run("initdb", "--pgdata", str(self.folder / "data"), "--username", user, "--auth", "scram-sha-256",
                 "--pwfile", str(self.folder / "password"), "--encoding", "UTF8", "--no-sync")  # fmt: skip
        self.start()
        self.run("createdb", *self._where(), database)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-c listen_addresses={self._address} -p {self._port} -k {self.folder} -c ssl=on -c fsync=off"
        files = f"-c ssl_cert_file={self.folder}/server.pem -c ssl_key_file={self.folder}/server.pem"
        self.run("pg_ctl", "start", "--wait", "--silent", "--pgdata", str(self.folder / "data"),
                 "--log", str(self.folder / "log"), "--options", f"{options} {files}")  # fmt: skip

    def stop(self) -> None:
        """Stop the server at once."""
        self.run("pg_ctl", "stop", "--mode", "immediate", "--silent", "--pgdata", str(self.folder / "data"))

    def close(self) -> None:
        """Stop the server, and delete what it holds."""
        with contextlib.suppress(CannotDeploy):  # it may have ended
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def dump(self, database: str) -> Path:
        """Return a whole copy of a database."""
        file = self.folder / "copy"
        self.run("pg_dump", *self._where(), "--format", "custom", "--file", str(file), database)
        return file

    def restore(self, database: str, copy: Path) -> None:
        """Make a database anew from a copy, in place of what has its name."""
        self.run("dropdb", *self._where(), "--force", "--if-exists", database)
        self.run("createdb", *self._where(), database)
        self.run("pg_restore", *self._where(), "--dbname", database, str(copy))

    def drop(self, database: str) -> None:
        """Delete a database, whoever uses it."""
        self.run("dropdb", *self._where(), "--force", database)

    def _where(self) -> tuple[str, ...]:
        return ("--host", str(self.folder), "--port", str(self._port), "--username", self._user)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs."""
        runs_as = self._runs_as
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env={"PGPASSWORD": self._password, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            check=False,
            user=None if runs_as is None else runs_as.pw_uid,
            group=None if runs_as is None else runs_as.pw_gid,
            extra_groups=None if runs_as is None else [],
        )
        if done.returncode:
            raise CannotDeploy(f"{program} of PostgreSQL failed: {done.stderr.strip()[-300:]}")


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = [
        path for pattern in _POSTGRES for path in sorted(Path("/").glob(pattern[1:])) if (path / "initdb").exists()
    ]
    if (usual := shutil.which("initdb")) is not None:
        found.append(Path(usual).resolve().parent)
    if not found:
        raise CannotDeploy("PostgreSQL's server, which stands in for RDS, is not installed: apt-get install postgresql")
    return found[-1]


def registry_binaries() -> Path:
    """Set the registry's packages up, as its image has them, unless they are; return where they are."""
    place = REPO_ROOT / ".venv-registry" / "bin"
    if not (place / "mlflow").exists():
        setup = [str(REPO_ROOT / "tools" / "setup.sh"), "registry"]
        done = subprocess.run(setup, capture_output=True, text=True, check=False, cwd=REPO_ROOT)
        if done.returncode:
            raise CannotDeploy(f"the registry's packages are not there: {done.stderr.strip()[-300:]}")
    return place


def service_binaries() -> Path:
    """Return where the interpreter that runs this is: the service's packages are those of the project."""
    return Path(sys.executable).parent


def wait_until(happened: Callable[[], bool], what: str, most_s: float, *, ended: TaskProcess | None = None) -> float:
    """Wait until ``happened()`` is true; return how many seconds that took."""
    began = time.monotonic()
    while not happened():
        if ended is not None and ended.ended:
            raise CannotDeploy(f"{ended.name} ended: {ended.last_line()}")
        if time.monotonic() - began > most_s:
            raise CannotDeploy(f"{what}: not within {most_s:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - began

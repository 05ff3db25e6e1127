"""Runs the jobs of a workflow on this machine: shell steps word for word, actions by stand-ins with a name."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from github_expressions import Expressions

TESTS = Path(__file__).resolve().parent
SUITABLE = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TERM")
# What a route of GitHub's API needs, from its reference.
RIGHTS = {
    "actions.getReviewsForRun": "actions",
    "repos.listPullRequestsAssociatedWithCommit": "pull-requests",
    "pulls.get": "pull-requests",
    "issues.listComments": "pull-requests",
    "issues.createComment": "pull-requests",
    "issues.updateComment": "pull-requests",
}


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """One step: its name, what ran in its place ("" if its own words did), exit code, seconds, and what it printed."""

    name: str
    stand_in: str
    code: int
    seconds: float
    said: str


@dataclass(kw_only=True)
class JobDone:
    """One job: whether it ran at all, its steps, outputs, summary, uploaded files by artifact and path, and calls of the API."""

    ran: bool
    steps: list[StepDone] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    artifacts: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)
    folder: Path | None = None

    @property
    def green(self):
        return not self.red

    @property
    def red(self):
        return any(step.code for step in self.steps)

    @property
    def seconds(self):
        return sum(step.seconds for step in self.steps)

    @property
    def said(self):
        return "\n".join(f"--- {step.name} ({step.stand_in or 'as written'})\n{step.said}" for step in self.steps)


@dataclass(kw_only=True)
class Event:
    """What started a workflow: its name and payload, the branch or commit to check out, and the inputs of a form."""

    name: str
    ref: str
    sha: str
    payload: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)


@dataclass(kw_only=True)
class Repository:
    """What GitHub keeps: the remote, variables, and of each environment its variables, secrets and approvals."""

    remote: Path
    scratch: Path
    name: str = "team/omni"
    variables: dict = field(default_factory=dict)
    environments: dict = field(default_factory=dict)
    routes: dict = field(default_factory=dict)
    artifacts: dict = field(default_factory=dict)  # files to download, by artifact and path
    cloud: dict = field(default_factory=dict)  # what taking the AWS role gives: variables of the environment
    instead: dict = field(default_factory=dict)  # words of a step: (name of the stand-in, other words)
    run_id: int = 0

    def run(self, workflow, event, *, jobs=None):
        """Run the jobs of the workflow in order, each after those that it needs; return them by name."""
        found, done = yaml.safe_load(shown(self.remote, workflow, event.sha)), {}
        self.run_id += 1
        for name, job in found["jobs"].items():
            if jobs is None or name in jobs:
                done[name] = _Job(self, found, job, event, done).run()
        return done


def shown(remote, workflow, commit):
    """Return a workflow's text. As on GitHub, it is the one of the commit."""
    path = f"{commit}:.github/workflows/{workflow}.yml"
    return subprocess.run(["git", "show", path], cwd=remote, check=True, capture_output=True, text=True).stdout


class _Job:
    def __init__(self, repository, workflow, job, event, done):
        self.repository, self.workflow, self.job, self.event = repository, workflow, job, event
        self.done = JobDone(ran=True)
        self.failed = False
        place = repository.environments.get(self._environment_name(), {})
        self.variables = {**repository.variables, **place.get("variables", {})}
        # A fork's pull request gets no secret, and a job gets those of its own environment only.
        self.secrets = {} if self._from_fork() else place.get("secrets", {})
        self.rights = {**(workflow.get("permissions") or {}), **(job.get("permissions") or {})}
        if "permissions" in job:
            self.rights = dict(job["permissions"])
        self.needs = {name: {"outputs": found.outputs} for name, found in done.items()}
        self.steps, self.environment = {}, {}
        self.files = repository.scratch / "runner" / f"{repository.run_id}"
        self.files.mkdir(parents=True, exist_ok=True)

    def _environment_name(self):
        return str(self.job.get("environment", ""))

    def _from_fork(self):
        head = self.event.payload.get("pull_request", {}).get("head", {}).get("repo", {})
        return head.get("full_name", self.repository.name) != self.repository.name

    def run(self):
        # Whether a job starts is decided before it has an environment, so without that one's variables.
        everywhere, self.variables = self.variables, self.repository.variables
        if not self._expressions({}).condition(self.job.get("if", "")):
            return JobDone(ran=False)
        self.variables = everywhere
        given = self.job.get("env", {})
        self.environment = {name: self._expressions({}).filled(value) for name, value in given.items()}
        for step in self.job["steps"]:
            self._step(step, inputs=self.event.inputs, outputs=self.steps)
        for name, text in self.job.get("outputs", {}).items():
            self.done.outputs[name] = self._expressions({}).filled(text)
        summary = self.files / "summary.md"
        self.done.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        return self.done

    def _expressions(self, inputs, outputs=None):
        event = self.event
        return Expressions(
            {
                "github": {
                    "event": event.payload, "event_name": event.name, "ref": event.ref, "token": "token",
                    "ref_name": event.ref, "run_id": self.repository.run_id, "repository": self.repository.name,
                    "workflow": self.workflow["name"],
                },
                "vars": self.variables, "secrets": self.secrets, "inputs": inputs or event.inputs, "needs": self.needs,
                "steps": self.steps if outputs is None else outputs, "runner": {"os": "Linux"},
            },
            failed=self.failed,
        )  # fmt: skip

    def _step(self, step, *, inputs, outputs):
        expressions = self._expressions(inputs, outputs)
        if not expressions.condition(step.get("if", "")):
            return
        given = {name: expressions.filled(text) for name, text in step.get("with", {}).items()}
        if str(step.get("uses", "")).startswith("./"):
            self._composite(step["uses"], given)
            return
        name, began = step.get("name") or step.get("uses") or step["run"].splitlines()[0], time.monotonic()
        found = {}
        if "uses" in step:
            stand_in, code, said, found = self._action(step["uses"].partition("@")[0], given)
        else:
            words = step["run"]
            stand_in, words = self.repository.instead.get(words.strip(), ("", words))
            variables = {key: expressions.filled(value) for key, value in step.get("env", {}).items()}
            code, said, found = self._shell(words, variables, bash_named=step.get("shell") == "bash")
        if "id" in step:
            outputs[step["id"]] = {"outputs": found}
        self.failed = self.failed or code != 0
        seconds = time.monotonic() - began
        self.done.steps.append(StepDone(name=name, stand_in=stand_in, code=code, seconds=seconds, said=said))

    def _composite(self, uses, given):
        action = yaml.safe_load((self._workspace() / uses / "action.yml").read_text(encoding="utf-8"))
        declared = {name: item.get("default", "") for name, item in action.get("inputs", {}).items()}
        outputs = {}
        for step in action["runs"]["steps"]:
            self._step(step, inputs={**declared, **given}, outputs=outputs)

    def _workspace(self):
        assert self.done.folder is not None, "a step needs the files before the checkout"
        return self.done.folder

    def _shell(self, words, variables, *, bash_named):
        script, output = self.files / "step.sh", self.files / "output"
        script.write_text(words, encoding="utf-8")
        output.write_text("", encoding="utf-8")
        home = self.repository.scratch / "home"
        home.mkdir(exist_ok=True)
        event = self.files / "event.json"
        event.write_text(json.dumps(self.event.payload), encoding="utf-8")
        workspace = self._workspace()
        environment = {
            **{name: os.environ[name] for name in SUITABLE if name in os.environ},
            "HOME": str(home), "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "github-actions[bot]",
            "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.files / "summary.md"),
            "GITHUB_EVENT_PATH": str(event), "GITHUB_REF": self.event.ref, "GITHUB_WORKSPACE": str(workspace),
            "PYTHONPATH": str(workspace), **self.environment, **variables,
        }  # fmt: skip
        # The two ways in which GitHub starts bash: with `shell: bash`, and without a word.
        options = ["--noprofile", "--norc", "-eo", "pipefail"] if bash_named else ["-e"]
        done = subprocess.run(
            ["bash", *options, str(script)],
            cwd=workspace, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800,
        )  # fmt: skip
        found = dict(line.partition("=")[::2] for line in output.read_text(encoding="utf-8").splitlines())
        return done.returncode, done.stdout, found

    def _action(self, action, given):
        if action == "actions/checkout":
            return "git clone of a bare remote", *self._checkout(given), {}
        if action == "actions/github-script":
            return "node with scripted answers of GitHub's API", *self._script(given["script"])
        if action == "aws-actions/configure-aws-credentials":
            return "keys of the local AWS", *self._take_role(given), {}
        if action == "actions/upload-artifact":
            return "a copy of the files", *self._upload(given), {}
        if action == "actions/download-artifact":
            return "a copy of the files", *self._download(given), {}
        assert action in ("actions/setup-python", "actions/setup-node", "actions/cache"), action
        return "the present machine", 0, "", {}

    def _checkout(self, given):
        depth = str(given.get("fetch-depth", "1"))
        folder = self.repository.scratch / f"work-{depth}"
        if not folder.exists():
            options = [] if depth == "0" else ["--depth", depth]
            source = f"file://{self.repository.remote}"
            subprocess.run(["git", "clone", "-q", *options, source, str(folder)], check=True, capture_output=True)
        for line in (
            ["fetch", "-q", "--prune", "origin", *([] if depth == "0" else ["--depth", depth, self.event.sha])],
            ["checkout", "-q", "--force", "--detach", self.event.sha],
            ["clean", "-qfdx", "--exclude", "__pycache__"],  # a fresh checkout, but for what Python compiles again
        ):
            subprocess.run(["git", *line], cwd=folder, check=True, capture_output=True)
        assert given.get("persist-credentials") == "false"
        self.done.folder = folder
        return 0, ""

    def _script(self, script):
        files = {name: self.files / f"script.{name}" for name in ("js", "json", "out")}
        files["js"].write_text(script, encoding="utf-8")
        allowed = {
            route: answer for route, answer in self.repository.routes.items()
            if self.rights.get(RIGHTS[route]) in ("read", "write")
        }  # fmt: skip
        owner, _, repo = self.repository.name.partition("/")
        context = {
            "repo": {"owner": owner, "repo": repo}, "runId": self.repository.run_id, "sha": self.event.sha,
            "payload": self.event.payload,
        }  # fmt: skip
        files["json"].write_text(json.dumps({"routes": allowed, "context": context}), encoding="utf-8")
        subprocess.run(
            ["node", str(TESTS / "github_script.mjs"), *map(str, files.values())],
            cwd=self.done.folder or self.files, check=True, capture_output=True,
        )  # fmt: skip
        done = json.loads(files["out"].read_text(encoding="utf-8"))
        self.done.asked += done["asked"]
        return int(done["failed"] is not None), done["failed"] or "", done["outputs"]

    def _take_role(self, given):
        if self.rights.get("id-token") != "write" or not given.get("role-to-assume"):
            return 1, "Credentials could not be loaded: no role, or no right to ask for a token"
        self.environment |= self.repository.cloud
        return 0, given["role-to-assume"]

    def _download(self, given):
        for name, text in self.repository.artifacts.get(given["name"], {}).items():
            (self.files / name).write_text(text, encoding="utf-8")
        return int(given["name"] not in self.repository.artifacts), ""

    def _upload(self, given):
        workspace, kept = self._workspace(), self.done.artifacts.setdefault(given["name"], {})
        for pattern in given["path"].split():
            for path in sorted(workspace.glob(pattern)):
                kept[path.relative_to(workspace).as_posix()] = path.read_text(encoding="utf-8")
        return 0, "\n".join(kept)


def link_environment(present, folder):
    """Return the words of a step that puts the installed environment ``present`` where ``make setup`` would make one.

    ``folder`` is made for it: bin and lib are links, so that nothing is installed again or changed there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in Path(present).iterdir():
        if part.name in ("bin", "lib", "lib64", "include", "share", "etc", "pyvenv.cfg"):
            (folder / part.name).symlink_to(part)
    return f"cp -rP {folder} .venv && touch .venv/.ready .venv/.extras"

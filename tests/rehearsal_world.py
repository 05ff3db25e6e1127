"""A team's repository for rehearsals of its workflows: a bare remote, models over OpenAI's wire, and people who approve."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from github_runner import Event, Repository, link_environment

from service.kit.settings import REPO_ROOT
from service.local.process import LocalChatServer

GIT = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
# The model obeys this sentence: without it, it leaves out what agents wrote.
RULE = "Read the agents' notes, too."
REVIEWER, NUMBER = "grace", 17
PAIR, PAID = "prompts/summarize/team.prompty", "prompts/summarize/paid.prompty"
CARDS = [
    {"id": "hosted_vllm/good-model", "runs": "local", "prices": {"input": 0, "output": 0}},
    {"id": "hosted_vllm/bad-model", "runs": "local", "prices": {"input": 0, "output": 0}},
    {"id": "hosted_vllm/paid-model", "runs": "provider", "prices": {"input": 0.1, "output": 0.4}},
]


def git(root, *arguments):
    return subprocess.run([*GIT, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def the_files(to):
    """Copy this project's files as git sees them, changes and new files included."""
    names = git(REPO_ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        source = REPO_ROOT / name
        if source.is_file() and not source.is_symlink():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)


def pair_text(name, model):
    """The long prompt of nova-lite for ``model``, with the rule that the scripted model obeys and without a backup."""
    text = (REPO_ROOT / "prompts" / "summarize" / "nova-lite.prompty").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    for name_of_field in ("backup", "cache_prefix"):
        fields.pop(name_of_field, None)
    fields["serving"].pop("hedge_delay_ms", None)
    fields |= {"name": name, "version": "1.0.0", "description": "The team's pair."}
    fields["model"]["id"] = model
    body = body.replace("# Rules for facts\n", f"# Rules for facts\n- {RULE}\n", 1)
    assert RULE in body
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n{body}"


@dataclass
class World:
    """The repository on GitHub with its models; ``folder`` holds a clone to work in."""

    folder: Path
    models: dict[str, LocalChatServer]
    repository: Repository = field(init=False)

    def __post_init__(self):
        self.clone, remote = self.folder / "clone", self.folder / "remote.git"
        self.clone.mkdir(parents=True)
        the_files(self.clone)
        with (self.clone / "prompts" / "models.yaml").open("a", encoding="utf-8") as file:
            for card in CARDS:
                prices = card["prices"] | {"source": "this rehearsal", "date": "2026-11-22"}
                short = card["id"].partition("/")[2]
                full = card | {"prices": prices, "short_name": short, "wire": "litellm", "context_tokens": 100_000}
                file.write(f"  - {json.dumps(full)}\n")
        (self.clone / PAIR).write_text(pair_text("team", "hosted_vllm/good-model"), encoding="utf-8")
        git(self.folder, "init", "-q", "--bare", "-b", "main", str(remote))
        git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(self.clone, "init", "-q", "-b", "main")
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-qm", "The team's repository")
        git(self.clone, "remote", "add", "origin", str(remote))
        git(self.clone, "push", "-q", "origin", "main")
        self.main = git(self.clone, "rev-parse", "HEAD")
        link = link_environment(sys.prefix, self.folder / "linked")
        self.repository = Repository(
            remote=remote,
            scratch=self.folder,
            instead={
                "make setup": ("the present environment, linked in", link),
                ".venv/bin/omni selftest": (
                    "scripted faults with one seed",
                    ".venv/bin/omni selftest --engine scripted --seeds 1",
                ),
            },
        )

    def endpoints(self, *models):
        """The variable that names the servers of ``models``."""
        return json.dumps({f"hosted_vllm/{name}": f"{self.models[name].url}/v1" for name in models})

    def commit(self, change, *, message="A change (#17)"):
        """Commit what ``change`` does to the clone on a branch of its own, push it, and return the commit."""
        git(self.clone, "checkout", "-q", "--detach", self.main)
        change(self.clone)
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-qm", message)
        commit = git(self.clone, "rev-parse", "HEAD")
        git(self.clone, "push", "-q", "--force", "origin", f"HEAD:refs/heads/branch-{commit[:12]}")
        return commit

    def pull_request(self, change, *, fork=False, labels=()):
        """The event of a pull request with ``change``."""
        commit = self.commit(change)
        head = {"sha": commit, "repo": {"full_name": "somebody/omni" if fork else self.repository.name}}
        payload = {
            "pull_request": {
                "number": NUMBER,
                "base": {"sha": self.main},
                "head": head,
                "labels": [{"name": name} for name in labels],
            }
        }
        return Event(name="pull_request", ref=f"refs/pull/{NUMBER}/merge", sha=commit, payload=payload)

    def pushed(self, change):
        """The event of a merge into main with ``change``."""
        commit = self.commit(change)
        payload = {"before": self.main, "head_commit": {"message": f"A change (#{NUMBER})\n\nIts reason."}}
        return Event(name="push", ref="refs/heads/main", sha=commit, payload=payload)

    def started_by_hand(self, commit, **inputs):
        """The event of a person who starts a workflow with a form; a field that is left alone has its default."""
        return Event(name="workflow_dispatch", ref="refs/heads/main", sha=commit, inputs=inputs)


def replaced(name, old, new):
    """Return a change that replaces ``old`` by ``new`` in the file ``name``."""

    def change(root):
        text = (root / name).read_text(encoding="utf-8")
        assert old in text, (name, old)
        (root / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def written(name, text):
    """Return a change that writes a file."""
    return lambda root: (root / name).write_text(text, encoding="utf-8")

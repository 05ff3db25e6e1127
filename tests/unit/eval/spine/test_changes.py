"""Which pairs a change touches, in a small repository of its own."""

import subprocess
from pathlib import Path

import pytest

from eval.spine.changes import changed_pairs
from eval.spine.errors import ChangesError

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]


def git(root: Path, *arguments: str) -> str:
    return subprocess.run([*GIT, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def put(root: Path, name: str, text: str = "x") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two pairs on `main`, and a branch that stands there."""
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("prompts/summarize/a.prompty", "prompts/summarize/b.prompty", "prompts/models.yaml", "README.md"):
        put(tmp_path, name)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    git(tmp_path, "checkout", "-q", "-b", "work")
    return tmp_path


def test_only_the_pair_that_changed_is_named_be_it_committed_or_not(root: Path) -> None:
    put(root, "prompts/summarize/b.prompty", "changed")
    put(root, "README.md", "changed")
    assert changed_pairs(root, "summarize", "main").pairs == ("b",)
    git(root, "commit", "-q", "-am", "two")
    assert changed_pairs(root, "summarize", "main", "HEAD").pairs == ("b",)


def test_a_new_pair_counts_and_a_deleted_one_does_not(root: Path) -> None:
    put(root, "prompts/summarize/c.prompty")
    (root / "prompts/summarize/a.prompty").unlink()
    assert changed_pairs(root, "summarize", "main").pairs == ("c",)


@pytest.mark.parametrize(
    "name",
    [
        "prompts/models.yaml", "prompts/judges/faithfulness.prompty", "datasets/summarize/gate.jsonl",
    ],
)  # fmt: skip
def test_what_every_pair_depends_on_touches_all(root: Path, name: str) -> None:
    put(root, name, "changed")
    found = changed_pairs(root, "summarize", "main")
    assert (found.pairs, found.own, found.code) == (("a", "b"), (), ())
    assert name in found.reasons[0]


@pytest.mark.parametrize(
    "name",
    [
        "eval/suites/summarize.py", "eval/scorers/new.py", "service/core/tasks/summarize/__init__.py", "figures/stats.py",
        "service/core/tasks/summarize/digest_weights.json", "requirements/dev.txt", "pyproject.toml",
    ],
)  # fmt: skip
def test_code_and_what_is_installed_touch_no_pair_and_are_named(root: Path, name: str) -> None:
    put(root, name, "changed")
    put(root, "prompts/summarize/b.prompty", "changed")
    found = changed_pairs(root, "summarize", "main")
    assert (found.pairs, found.own, found.code) == (("b",), ("b",), (name,))
    assert found.reasons[-1] == f"{name} changed: code"


@pytest.mark.parametrize(
    "name",
    ["docs/x.md", "datasets/summarize/README.md", "datasets/other/gate.jsonl", "figures/svg.py",
     "eval/report/templates/report.html.j2", "prompts/other/a.prompty", "tests/unit/test_x.py"],
)  # fmt: skip
def test_what_decides_nothing_touches_none(root: Path, name: str) -> None:
    put(root, name, "changed")
    found = changed_pairs(root, "summarize", "main")
    assert (found.pairs, found.code) == ((), ())


def test_what_happened_on_main_since_is_not_the_branchs_change(root: Path) -> None:
    git(root, "checkout", "-q", "main")
    put(root, "prompts/summarize/a.prompty", "moved on")
    git(root, "commit", "-q", "-am", "main goes on")
    git(root, "checkout", "-q", "work")
    put(root, "prompts/summarize/b.prompty", "changed")
    assert changed_pairs(root, "summarize", "main").pairs == ("b",)


@pytest.mark.parametrize("base", ["nothing-like-it", "--output=evil"])
def test_an_unknown_commit_is_an_error_that_says_what_to_do(root: Path, base: str) -> None:
    with pytest.raises(ChangesError, match=r"--base|no name of a commit"):
        changed_pairs(root, "summarize", base)
    assert not (root / "evil").exists()


def test_a_pairs_name_that_a_shell_would_read_is_refused(root: Path) -> None:
    put(root, "prompts/summarize/a;rm -rf x.prompty")
    with pytest.raises(ChangesError, match="rename"):
        changed_pairs(root, "summarize", "main")


def test_a_task_without_pairs_is_an_error(root: Path) -> None:
    with pytest.raises(ChangesError, match="no pair file"):
        changed_pairs(root, "route", "main")

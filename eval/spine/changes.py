"""What a change touches between two states of the repository: pairs to evaluate, and code to judge by its answers."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eval.spine.errors import ChangesError

# What any of these decides is decided for every pair: cards, judges, and the task's cases.
_TOUCHES_ALL = ("prompts/models.yaml", "prompts/judges")
# What is installed decides what the code does.
_INSTALLED = ("pyproject.toml", "requirements/")
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # the names go into command lines of workflows
_PACKAGES = ("eval/", "figures/", "service/")
# Parts of the harness that show results and never make them.
_SHOWS_ONLY = (
    "eval/report/",
    "eval/instruments/sweep/",
    "eval/evaluation/card.py",
    "eval/spine/changes.py",
    "figures/files.py",
    "figures/formatting.py",
    "figures/planned_costs.py",
    "figures/svg.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The pairs to evaluate, in alphabetical order, and why: one line each.

    ``own`` are those whose own file changed. ``code`` are the files whose change is judged by what it changes in the answers
    (``omni code-gate``), whatever the pair.
    """

    pairs: tuple[str, ...]
    reasons: tuple[str, ...]
    own: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


def changed_pairs(root: Path, task: str, base: str, head: str | None = None) -> Changed:
    """Return the pairs of ``task`` that differ between ``base`` and ``head`` (None: the working tree, new files included).

    Compared is the point where ``head`` left ``base``, as a pull request shows it. All pairs count as changed when cards,
    judges or cases changed. Code and dependencies change no pair. A deleted pair is not evaluated.

    Raises:
        ChangesError: git, the repository or a ref is missing, or the two have no history in common.
    """
    folder = root / "prompts" / task
    every = tuple(sorted(path.stem for path in folder.glob("*.prompty")))
    if not every:
        raise ChangesError(f"no pair file in {folder}")
    odd = [name for name in every if not _NAME.fullmatch(name)]
    if odd:
        raise ChangesError(f"a pair's name is letters, digits, '.', '_' and '-'; rename {odd[0]!r} in {folder}")
    files = _changed_files(root, base, head)
    code = tuple(name for name in files if _is_code(name))
    found = {}
    for name in files:
        path = PurePosixPath(name)
        if path.parent == PurePosixPath("prompts", task) and path.suffix == ".prompty" and path.stem in every:
            found[path.stem] = f"{name} changed"
    own = tuple(sorted(found))
    why = [f"{code[0]}{f' and {len(code) - 1} more' if len(code) > 1 else ''} changed: code"] if code else []
    shared = next((name for name in files if _touches_all(name, task)), None)
    if shared is not None:
        return Changed(
            pairs=every, reasons=(f"{shared} changed, which every pair depends on", *why), own=own, code=code
        )
    return Changed(pairs=own, reasons=(*(found[pair] for pair in own), *why), own=own, code=code)


def _touches_all(name: str, task: str) -> bool:
    tops = (*_TOUCHES_ALL, f"datasets/{task}")
    if name.startswith(f"datasets/{task}/"):
        return name.endswith(".jsonl")  # its data card decides nothing
    return any(name == top or name.startswith(f"{top}/") for top in tops)


def _is_code(name: str) -> bool:
    if name.startswith(_SHOWS_ONLY):
        return False
    # Data beside code, such as weights and word lists, decides answers as code does.
    inside = name.startswith(_PACKAGES) and not name.endswith((".md", ".j2"))
    return inside or name.startswith(_INSTALLED)


def _changed_files(root: Path, base: str, head: str | None) -> list[str]:
    start = git(root, "merge-base", base, head or "HEAD").strip()
    names = git(root, "diff", "--name-only", "-z", "--no-renames", start, *([head] if head else []), "--").split("\0")
    if head is None:
        names += git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return sorted({name for name in names if name})


def git(root: Path, *arguments: str) -> str:
    """Return what git prints."""
    if any(argument.startswith("-") and argument not in _OPTIONS for argument in arguments):
        raise ChangesError(f"{arguments[-1]!r} is no name of a commit")
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - git from PATH
            cwd=root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as err:
        raise ChangesError(f"git cannot be run in {root}: {err}") from err
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no common history"])[0]
        raise ChangesError(
            f"git {arguments[0]} failed: {said}; name a commit that this checkout has with --base "
            "(in CI, check out with fetch-depth: 0)"
        )
    return done.stdout


_OPTIONS = frozenset(
    {"--name-only", "-z", "--no-renames", "--", "--others", "--exclude-standard", "--quiet", "--detach", "--force"}
)

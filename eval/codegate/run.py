"""Runs the code gate of a task: which pair, both checkouts' answers, the base's judgement, and whether the scorers moved."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from eval.codegate.answers import ABORTED, ASKED_PAIR, SIDE_ANSWERS, AskedPair
from eval.codegate.judging import CODE_JUDGEMENT, VALUES, CodeJudgement
from eval.run.selection import select_pairs
from eval.spine.changes import git
from eval.spine.errors import CodeGateError, HarnessError
from eval.spine.results import Verdict
from eval.tracking.store import Tracking
from service.core.release.registry_store import check_store
from service.core.run.task import load_task, task_names
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.display.inert import one_line
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

SIDE = "eval.codegate.side"
_LONGEST_S = 3_000
# A line of a log is not what went wrong.
_LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\d |\s|\{)")


class SideFailed(HarnessError):
    """A checkout's code ended with an error; the message is its last line."""


@contextmanager
def base_files(root: Path, commit: str) -> Iterator[Path]:
    """Yield a folder with the files of ``commit``, as git has them; it is removed at the end.

    Raises:
        ChangesError: git cannot make it.
        CodeGateError: ``commit`` is older than this check.
    """
    with tempfile.TemporaryDirectory(prefix="omni-base-") as folder:
        tree = Path(folder) / "base"
        git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            if not (tree / Path(*SIDE.split("."))).with_suffix(".py").exists():
                raise CodeGateError(
                    f"the base {commit[:12]} cannot be judged against: it is older than this check, which its own code has to "
                    "run. Rebase onto a later commit, or evaluate both by hand"
                )
            yield tree
        finally:
            git(root, "worktree", "remove", "--force", str(tree))


def run_side(tree: Path, state_dir: Path, *arguments: str) -> None:
    """Run one step of the check with the code and the files of ``tree``, and with this process's settings otherwise.

    Both sides have the same ``state_dir``, so that the second one finds the models' replies to the first one's questions.

    Raises:
        SideFailed: it ended with an error, or did not end.
        CodeGateError: it ended itself, such as at the end of its budget.
    """
    # Without what pytest or another tool put there: this process's packages, but not its code.
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "OMNI_ROOT": str(tree),
        "OMNI_STATE_DIR": str(state_dir),
        "OMNI_LOG_LEVEL": "ERROR",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", SIDE, *arguments],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise SideFailed(f"it did not end within {_LONGEST_S} s") from err
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not _LOG_LINE.match(line)]
        said = lines[-1] if lines else f"exit code {done.returncode}"
        said = one_line(said.removeprefix("error: "), 300)
        raise CodeGateError(said) if done.returncode == ABORTED else SideFailed(said)


_DEPENDENCIES = ("requirements", "pyproject.toml")
_SAYS_FLOOR = re.compile(r"^role:\s*floor\s*$", re.MULTILINE)
_MOVED = 1e-9  # figures are computed twice from the same texts


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedFigure:
    """A figure of the base's own answers that the branch's scorers read differently."""

    part: str
    metric: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOutcome:
    """The outcome for one task: the base's judgement, or ``problem`` if the branch's code could not answer.

    ``pair`` and ``chosen`` say which pair was asked and why; ``moved`` are the figures that the branch's scorers change.
    ``spent_usd`` is counted under a budget alone.
    """

    task: str
    pair: str
    chosen: str
    base: str
    judgement: CodeJudgement | None
    problem: str = ""
    moved: tuple[MovedFigure, ...] = ()
    spent_usd: Decimal = Decimal(0)

    @property
    def verdict(self) -> Verdict:
        """The judgement's verdict; fail without one."""
        return Verdict.FAIL if self.judgement is None else self.judgement.verdict

    @property
    def needs_person(self) -> bool:
        """See ``CodeJudgement.needs_person``."""
        return self.judgement is not None and self.judgement.needs_person


def judged_tasks(settings: Settings, base: str) -> list[str]:
    """Return the tasks with a floor, whose answers any machine can compute, here or where the branch left ``base``.

    A branch that takes away a task's floor cannot be judged; it does not leave the task out of the check.
    """
    commit = git(settings.root, "merge-base", base, "HEAD").strip()
    return [name for name in task_names() if _floor(name, settings) is not None or _had_floor(name, commit, settings)]


def _had_floor(task: str, commit: str, settings: Settings) -> bool:
    folder = f"prompts/{task}/"
    names = git(settings.root, "ls-tree", "--name-only", commit, folder).splitlines()
    pairs = [name for name in names if name.endswith(".prompty")]
    return any(_SAYS_FLOOR.search(git(settings.root, "show", f"{commit}:{name}")) for name in pairs)


def run_code_gate(
    task: str,
    base: str,
    settings: Settings,
    say: Callable[[str], object] = lambda line: None,
    budget_usd: Decimal | None = None,
) -> CodeOutcome:
    """Answer the gate's cases with the code of ``base`` and of the working tree, and let the base judge both.

    Compared is the commit where the branch left ``base``, as a pull request shows it. The live calls of both may
    cost ``budget_usd`` together.

    Raises:
        CodeGateError: the base's code cannot be run, there is no pair to ask, or the budget does not cover the calls.
        RegistryError: the registry holds something in production that does not verify.
    """
    commit = git(settings.root, "merge-base", base, "HEAD").strip()
    asked, chosen = _choose(task, settings)
    asked = replace(asked, budget_usd=budget_usd)
    say(f"{task}: {asked.name} ({chosen}) on the code of {commit[:12]} and on this one")
    with tempfile.TemporaryDirectory(prefix="omni-code-gate-") as folder, base_files(settings.root, commit) as tree:
        files = {
            name: Path(folder) / f"{name}.json" for name in ("asked", "base", "branch", "judged", "ours", "theirs")
        }
        files["asked"].write_bytes(ASKED_PAIR.dump_json(asked))
        outcome: dict[str, Any] = {"task": task, "pair": asked.name, "chosen": chosen, "base": commit}
        _run_base(tree, commit, settings, "answers", str(files["asked"]), str(files["base"]))
        theirs = SIDE_ANSWERS.validate_json(files["base"].read_bytes())
        spent = theirs.spent_usd
        left = None if budget_usd is None else budget_usd - spent
        # The same fault in each case, also where the branch plants one more.
        files["asked"].write_bytes(ASKED_PAIR.dump_json(replace(asked, budget_usd=left, faults=theirs.faults)))
        try:
            # Second, so that it finds the base's replies of models in the cache wherever it asks the same.
            run_side(settings.root, settings.state_dir, "answers", str(files["asked"]), str(files["branch"]))
        except SideFailed as err:
            # What it spent before it broke is not known: all that it was allowed to.
            most = Decimal(0) if budget_usd is None else budget_usd
            problem = f"this code cannot answer the cases: {err}"
            return CodeOutcome(**outcome, judgement=None, problem=problem, spent_usd=most)
        _run_base(tree, commit, settings, "judge", str(files["base"]), str(files["branch"]), str(files["judged"]))
        spent += SIDE_ANSWERS.validate_json(files["branch"].read_bytes()).spent_usd
        judgement = CODE_JUDGEMENT.validate_json(files["judged"].read_bytes())
        try:
            run_side(settings.root, settings.state_dir, "figures", str(files["base"]), str(files["ours"]))
        except SideFailed as err:
            problem = f"this code cannot score the base's answers: {err}"
            return CodeOutcome(**outcome, judgement=None, problem=problem, spent_usd=spent)
        _run_base(tree, commit, settings, "figures", str(files["base"]), str(files["theirs"]))
        moved = _moved(*(VALUES.validate_json(files[name].read_bytes()) for name in ("theirs", "ours")))
        return CodeOutcome(**outcome, judgement=judgement, moved=moved, spent_usd=spent)


def _run_base(tree: Path, commit: str, settings: Settings, *arguments: str) -> None:
    try:
        run_side(tree, settings.state_dir, *arguments)
    except SideFailed as err:
        changed = git(settings.root, "diff", "--name-only", commit, "--", *_DEPENDENCIES).split()
        because = (
            f"; {', '.join(changed)} changed, so that it may need other packages than are installed here"
            if changed
            else ""
        )
        raise CodeGateError(
            f"the code of the base {commit[:12]} cannot be run here: {err}{because}. Nothing was compared: evaluate both "
            "commits, each with its own packages"
        ) from err


def _choose(task: str, settings: Settings) -> tuple[AskedPair, str]:
    """Return production's pair if its own model can answer here, else the floor, each checkout's own; and why it was chosen."""
    floor = _floor(task, settings)
    production = _production(task, settings)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    why = "nothing is in production here"
    if production is not None:
        known = all(model in cards for model in production.models)
        card = cards.get(production.model) if known else None
        if card is not None and card.runs == "provider" and select_pairs([production], cards, settings).pairs:
            return AskedPair(task=task, name=production.name, content=production.content()), "in production"
        why = f"the model of {production.name}, which is in production, cannot be asked here"
        if card is not None and card.wire == "in_process":
            path = settings.prompts_dir / task / f"{production.name}.prompty"
            if path.exists():
                return AskedPair(task=task, name=production.name), "in production"
    if floor is None:
        raise CodeGateError(f"task {task!r} has no pair to ask: {why}, and none says `role: floor` in prompts/{task}")
    return AskedPair(task=task, name=floor.name), f"the floor, as {why}"


def _floor(task_name: str, settings: Settings) -> Pair | None:
    task, cards = load_task(task_name), ModelCards.load(settings.prompts_dir / "models.yaml")
    for path in sorted((settings.prompts_dir / task_name).glob("*.prompty")):
        pair = load_pair(path, cards=cards, task_variables=task.variables, part_variables=task.part_variables)
        if pair.role == "floor":
            return pair
    return None


def _production(task: str, settings: Settings) -> Pair | None:
    try:
        check_store(settings.registry.uri)
    except RegistryError:
        return None  # a runner without the registry
    found = Tracking(settings.registry.uri, trusted_keys=settings.trusted_keys_file).production(task)
    return None if found is None else found.pair


def _moved(
    theirs: Mapping[str, Mapping[str, float | None]], ours: Mapping[str, Mapping[str, float | None]]
) -> tuple[MovedFigure, ...]:
    return tuple(
        MovedFigure(part=part, metric=metric, before=before, after=after)
        for part, figures in theirs.items()
        for metric, before in figures.items()
        if metric in ours.get(part, {})
        and (after := ours[part][metric]) != before
        and (before is None or after is None or abs(after - before) > _MOVED)
    )

"""The digest of the code that decides a verdict: whole folders by rule, without comments and docstrings.

Evidence counts for the code that it was made with, and a pair's digest says nothing about code. So every suite's digest
includes the source of whatever can change an answer, a score or a verdict.
"""

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from service.errors import ConfigurationError

_ROOT = Path(__file__).resolve().parent.parent
# Folders count with everything below them, patterns with the files that they match. ``{task}`` is a module or a folder.
DECIDING_CODE = (
    "eval/*.py",
    "eval/pools",
    "eval/run",
    "eval/verdict",
    "eval/judges",
    "eval/claims",
    "eval/contrasts",
    "eval/scorers",
    "eval/behaviour",
    "eval/suites/{task}",
    "figures/arrays.py",
    "figures/metric.py",
    "figures/stats.py",
    "service/cards",
    "service/pair.py",
    "service/task.py",
    "service/task_result.py",
    "service/attempt.py",
    "service/question.py",
    "service/guard.py",
    "service/answers",
    "service/dialogue",
    "service/grounding",
    "service/llm",
    "service/tools",
    "service/tasks/{task}",
)
# Inside those folders, and without a say: a contract test follows the imports and compares.
WITHOUT_A_SAY = {
    "eval/__init__.py": "exports nothing",
    "eval/alone.py": "keeps two processes apart",
    "eval/card.py": "writes the data card",
    "eval/changes.py": "selects pairs",
    "eval/code_digest.py": "names the code",
    "eval/errors.py": "words errors",
    "eval/run/estimate.py": "estimates how long a run takes",
    "eval/run/journal.py": "names runs",
    "eval/run/models.py": "starts model processes",
    "eval/run/progress.py": "prints",
    "eval/run/selection.py": "selects pairs",
    "eval/run/spending.py": "ends runs that cost too much",
}
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(?P<comment>[ \t]*#[^\n]*)',
    re.DOTALL,
)


def deciding_code_digest(task: str, root: Path = _ROOT) -> str:
    """Return SHA-256 over paths and code of everything that decides verdicts of ``task``.

    Raises:
        ConfigurationError: a file or folder that the rule names is missing.
    """
    digest = hashlib.sha256()
    for name, path in deciding_files(task, root).items():
        code = without_words(path.read_text(encoding="utf-8"))
        digest.update(f"{name}\0{code}\0".encode())
    return digest.hexdigest()


def deciding_files(task: str, root: Path = _ROOT) -> dict[str, Path]:
    """Return the files that the rule names, by their name in the project ("eval/suite.py"), sorted.

    Raises:
        ConfigurationError: a file or folder that the rule names is missing.
    """
    found: dict[str, Path] = {}
    for rule in (pattern.format(task=task) for pattern in DECIDING_CODE):
        files = {path.relative_to(root).as_posix(): path for path in _files(rule, root)} or _elsewhere(rule, task)
        if not files:
            raise ConfigurationError(f"{rule} is missing: evidence would not name the code that it was made with")
        found |= files
    return {name: found[name] for name in sorted(found) if name not in WITHOUT_A_SAY}


def without_words(source: str) -> str:
    """Return ``source`` without comments, docstrings, blank lines and spaces at line ends: what an interpreter acts on."""
    lines = source.splitlines(keepends=True)
    for first, last in _docstrings(ast.parse(source)):
        for number in range(first - 1, last):
            lines[number] = "\n"
    bare = _STRING_OR_COMMENT.sub(lambda match: "" if match["comment"] is not None else match[0], "".join(lines))
    return "\n".join(line.rstrip() for line in bare.splitlines() if line.strip())


def _files(rule: str, root: Path) -> Iterator[Path]:
    path = root / rule
    if "*" in rule:
        yield from root.glob(rule)
    elif path.is_dir():
        yield from path.rglob("*.py")
    elif path.is_file():
        yield path
    elif path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")


def _elsewhere(rule: str, task: str) -> dict[str, Path]:
    """A task's or suite's files where its package's search path leads out of the project, as for a task in a plug-in."""
    if not rule.endswith(f"/{task}"):
        return {}
    spec = importlib.util.find_spec(rule.replace("/", "."))
    if spec is None or spec.origin is None:
        return {}
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        return {f"{rule}.py": origin}
    return {f"{rule}/{path.relative_to(origin.parent).as_posix()}": path for path in origin.parent.rglob("*.py")}


def _docstrings(node: ast.AST) -> Iterator[tuple[int, int]]:
    """First and last line of each docstring that stands on lines of its own."""
    for child in _definitions(node):
        body = child.body
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield first.lineno, first.end_lineno or first.lineno


def _definitions(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    todo = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield here
        inner = ast.stmt | ast.ExceptHandler | ast.match_case
        todo += [child for child in ast.iter_child_nodes(here) if isinstance(child, inner)]

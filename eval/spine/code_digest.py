"""The digest of the code that decides a verdict, found by following the imports, without comments and docstrings.

Evidence counts for the code that it was made with, and a pair's digest says nothing about code. So every suite's digest
includes the source of whatever can change an answer, a score or a verdict: the folders of the task and its suite with their
data, the modules that run, score and judge (``ENTRIES``), and everything that those import, at the top or inside a function.
What has no say is left out by name (``WITHOUT_A_SAY``), and what only that imports with it: evidence must survive a reworded
log line.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

from service.kit.frame.errors import ConfigurationError

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("eval", "figures", "service")
# Their search paths may lead out of the project, to the tasks and suites of plug-ins.
_PLUGGABLE = (("service", "core", "tasks"), ("eval", "suites"))
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")

# Where evidence begins: an evaluation with its gate and what its attestation states, the behaviour checks, and the measurement
# of judges that may then gate.
ENTRIES = ("eval/evaluation/evaluate.py", "eval/verdict/attest.py", "eval/behaviour/run.py", "eval/judges/calibrate.py")
# What a module loads without importing it; promptfoo asks through the one and disguises attacks with the other.
LOADED = {
    "eval/labels/contrasts/twins.py": ("eval/labels/contrasts/twins.jsonl",),
    "eval/behaviour/install.py": ("eval/promptfoo/provider.mjs", "eval/promptfoo/strategies.mjs"),
    "service/core/redaction/dictated.py": ("service/core/redaction/patterns.yaml",),
    "service/core/redaction/spoken.py": ("service/core/redaction/patterns.yaml",),
}
# Modules, and folders with everything below them, that are imported and change no answer, no score and no verdict. Nor does
# what only they import count. Tools that make or check the cases are here because a digest of its own names the cases.
WITHOUT_A_SAY = {
    "eval/spine/alone.py": "keeps two processes apart",
    "eval/spine/case_rules.py": "checks case files, which the dataset's digest names",
    "eval/spine/code_digest.py": "names the code",
    "eval/spine/errors.py": "words errors",
    "eval/release": "signs evidence and reads it again; promotion checks what it reads",
    "eval/report": "writes the report of a verdict that stands",
    "eval/run/journal.py": "names runs",
    "eval/run/models.py": "opens the way to the models; the attestation names the servers that answered",
    "eval/run/progress.py": "prints",
    "eval/run/selection.py": "selects pairs",
    "eval/run/spending.py": "ends runs that cost too much",
    "eval/tracking": "keeps runs and names the pair in production, whose digest is in the attestation",
    "figures/command_line.py": "words commands for messages",
    "figures/files.py": "writes files",
    "service/app.py": "carries requests and answers; the behaviour checks meet the task through it",
    "service/kit/aws": "carries data; what an answer depends on reaches the task as inputs",
    "service/kit/frame/display": "prints",
    "service/kit/frame/files.py": "writes files",
    "service/core/knowledge": "searches the index that a pair's digest names; it and the pair's weights name the model",
    "service/local": "stands in for services; a model counts by its id, as a provider's does",
    "service/kit/frame/process": "runs work in other processes, and pauses the garbage collector",
    "service/core/release": "reads and verifies releases",
    "service/runtime": "builds clients",
    "service/kit/settings": "says where things are; what decides stands in pair and suite",
    "service/answers_kept": "keeps answers that were given",
    "service/kit/telemetry": "logs, counts and traces",
}
_Module = tuple[str, Path]  # its name in the project, and its file
_Find = Callable[[tuple[str, ...]], _Module | None]
_UNNAMED = "evidence would not name the code that it was made with"
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(?P<comment>[ \t]*#[^\n]*)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Followed:
    """``files`` by their name in the project, sorted; ``left_out``: the names in ``WITHOUT_A_SAY`` that some of them import."""

    files: dict[str, Path]
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Import:
    """``from <level dots><module> import <names>``; no names for ``import <module>``."""

    level: int
    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    code: str
    imports: tuple[_Import, ...]


def deciding_code_digest(task: str, root: Path = _ROOT) -> str:
    """Return SHA-256 over paths and code of everything that decides verdicts of ``task``."""
    digest = hashlib.sha256()
    for name, path in deciding_files(task, root).items():
        content = path.read_bytes()  # data of a task may be no text
        if path.suffix == ".py":
            content = without_words(path.read_text(encoding="utf-8")).encode()
        digest.update(b"%b\0%b\0" % (name.encode(), content))
    return digest.hexdigest()


def deciding_files(task: str, root: Path = _ROOT) -> dict[str, Path]:
    """Return the files that decide verdicts of ``task``, by their name in the project ("eval/spine/suite.py"), sorted."""
    return followed(task, root).files


def followed(task: str, root: Path = _ROOT) -> Followed:
    """Follow the imports of the task, its suite and ``ENTRIES``.

    Raises:
        ConfigurationError: a file that the task needs, or that a module imports, is missing.
    """
    find: _Find = cache(partial(_module, root))
    found = _own(f"service/core/tasks/{task}", find) | _own(f"eval/suites/{task}", find)
    found |= {name: _existing(root, name, "the code digest") for name in ENTRIES}
    left_out: set[str] = set()
    todo = [name for name in found if name.endswith(".py")]
    while todo:
        name = todo.pop()
        for data in LOADED.get(name, ()):
            found[data] = _existing(root, data, name)
        for imported, path in _imported(name, found[name], find):
            cut = _without_a_say(imported)
            if cut:
                left_out.add(cut)
            elif imported not in found:
                found[imported] = path
                todo.append(imported)
    return Followed(files=dict(sorted(found.items())), left_out=frozenset(left_out))


def without_words(source: str) -> str:
    """Return ``source`` without comments, docstrings, blank lines and spaces at line ends: what an interpreter acts on."""
    return _source(source).code


def _own(folder: str, find: _Find) -> dict[str, Path]:
    """All of a task's or suite's own modules and data, imported or not: it may load them by name."""
    module = find(tuple(folder.split("/")))
    if module is None:
        raise ConfigurationError(f"{folder} is missing: {_UNNAMED}")
    name, path = module
    if path.name != "__init__.py":
        return {name: path}
    return {
        f"{folder}/{file.relative_to(path.parent).as_posix()}": file
        for file in path.parent.rglob("*")
        if file.is_file() and file.suffix != ".pyc" and not file.name.startswith(".")
    }


def _imported(name: str, path: Path, find: _Find) -> Iterator[_Module]:
    """The project's files that a module imports, packages on the way to them included."""
    folder = tuple(name.split("/")[:-1])
    for each in _source(path.read_text(encoding="utf-8")).imports:
        above = folder[: len(folder) - each.level + 1] if each.level else ()
        parts = (*above, *(each.module.split(".") if each.module else ()))
        if parts[0] not in _PACKAGES:
            continue
        modules = [_needed(parts[:end], name, find) for end in range(1, len(parts) + 1)]
        yield from modules
        if modules[-1][1].name == "__init__.py":  # most names are the package's own, the others its modules
            yield from (module for inner in each.names if (module := find((*parts, inner))) is not None)


def _needed(parts: tuple[str, ...], importer: str, find: _Find) -> _Module:
    module = find(parts)
    if module is None:
        name = "/".join(parts)
        raise ConfigurationError(f"{name} is missing, which {importer} imports: {_UNNAMED}")
    return module


def _module(root: Path, parts: tuple[str, ...]) -> _Module | None:
    """A module's file and its name in the project, or None."""
    name = "/".join(parts)
    for path in (root.joinpath(*parts), *_elsewhere(parts)):
        if (path / "__init__.py").is_file():
            return f"{name}/__init__.py", path / "__init__.py"
        if path.with_suffix(".py").is_file():
            return f"{name}.py", path.with_suffix(".py")
    return None


def _elsewhere(parts: tuple[str, ...]) -> Iterator[Path]:
    """Where else a module may be: below the search path of a package that a plug-in has extended."""
    for names in _PLUGGABLE:
        package = sys.modules.get(".".join(names))
        if parts[: len(names)] == names and len(parts) > len(names) and package is not None:
            own = _ROOT.joinpath(*names)
            yield from (Path(f).joinpath(*parts[len(names) :]) for f in package.__path__ if Path(f) != own)


def _existing(root: Path, name: str, needed_by: str) -> Path:
    path = root / name
    if not path.is_file():
        raise ConfigurationError(f"{name} is missing, which {needed_by} needs: {_UNNAMED}")
    return path


def _without_a_say(name: str) -> str | None:
    """The entry of ``WITHOUT_A_SAY`` that covers a file, or None."""
    return next((entry for entry in WITHOUT_A_SAY if name == entry or name.startswith(f"{entry}/")), None)


@lru_cache(maxsize=1024)  # suites share most modules, and a process may read several suites
def _source(text: str) -> _Source:
    lines, imports = text.splitlines(keepends=True), []
    for node, runs in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            imports += [_Import(0, alias.name) for alias in node.names if runs]
        elif isinstance(node, ast.ImportFrom) and runs:
            imports.append(_Import(node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for number in _docstring_lines(node):
                lines[number - 1] = "\n"
    bare = _STRING_OR_COMMENT.sub(lambda match: "" if match["comment"] is not None else match[0], "".join(lines))
    return _Source("\n".join(line.rstrip() for line in bare.splitlines() if line.strip()), tuple(imports))


def _docstring_lines(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> range:
    """The lines of a docstring, which stands on lines of its own."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return range(first.lineno, (first.end_lineno or first.lineno) + 1)
    return range(0)


def _statements(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every statement, and whether it runs: what stands under ``if TYPE_CHECKING`` does not."""
    todo: list[tuple[ast.AST, bool]] = [(tree, True)]
    while todo:
        node, runs = todo.pop()
        yield node, runs
        only_checked = isinstance(node, ast.If) and _names_type_checking(node.test)
        for block in _BLOCKS:
            here = runs and not (only_checked and block == "body")
            todo += [(child, here) for child in getattr(node, block, ())]


def _names_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )

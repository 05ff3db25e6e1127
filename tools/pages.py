"""Writes docs/acceptance.md, the pages of docs/reference/ and the rooms of docs/architecture.md from tests and code.

``python tools/pages.py`` writes them; tests/contract/test_pages.py compares. What a row requires stands in docs/acceptance.yaml,
which tests show it in their ``acceptance`` markers, what a setting means in the comment beside its field.
"""

import ast
import inspect
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eval.frames.columns import CASES, METRICS, RELEASES, RUNS, TEXTS
from omni.app import build_app
from service.channels.amazon_lex.contact_flow import FlowSettings
from service.channels.amazon_lex.lex import LexSettings
from service.kit.settings import REPO_ROOT, Settings
from service.kit.settings.groups import SettingsGroup

ROOT = Path(__file__).resolve().parents[1]
ACCEPTANCE = ROOT / "docs" / "acceptance.md"
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
COMMANDS = ROOT / "docs" / "reference" / "commands.md"
FRAMES = ROOT / "docs" / "reference" / "frames.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- rooms: written by tools/pages.py -->", "<!-- end of rooms -->"
_PACKAGES = ("service/kit", "service/core", "service", "eval")
_TEST_FOLDERS = ("tests", "infra/cdk/tests")
_STATES = {"partly": "partly", "otherwise": "decided otherwise", "open": "not shown"}
RUN, REHEARSED, RULE = "run here", "rehearsed", "by rule"
# How a test shows what it shows, by how its name begins: most run the code as it is used. Rehearsals start what AWS would start,
# from the templates or images; the others compare files with each other, with AWS's schemas or with what we know of its rules.
SHOWN_OTHERWISE: Mapping[str, str] = {
    "infra/cdk/tests/": RULE,
    "tests/contract/test_connect.py": RULE,
    "tests/contract/test_deploying_guide.py": RULE,
    "tests/contract/test_erasure_places.py": RULE,
    "tests/contract/test_observability.py": RULE,
    "tests/contract/test_retention.py": RULE,
    "tests/contract/test_runbooks.py": RULE,
    "tests/contract/test_stores.py": RULE,
    "tests/contract/test_workflows.py": RULE,
    "tests/integration/operations/test_runbooks.py::test_a_command_for_the_real_account": RULE,
    "tests/browser/test_pages_behind_gateway.py": REHEARSED,
    "tests/integration/deployment/": REHEARSED,
    "tests/integration/image/": REHEARSED,
    "tests/integration/stores/test_every_stack.py": REHEARSED,
}


@cache
def acceptance() -> list[dict[str, Any]]:
    """Return the sections of docs/acceptance.yaml; each row is a mapping with id, text and, for rows of names, names."""
    sections = yaml.safe_load((ROOT / "docs" / "acceptance.yaml").read_text(encoding="utf-8"))
    for section in sections:
        rows = []
        for key, value in section["rows"].items():
            row = {"id": key, **(value if isinstance(value, dict) else {"text": value})}
            if "names" in section:
                row.setdefault("names", [key.partition(".")[2]])
            rows.append(row)
        section["rows"] = rows
    return sections


@cache
def shown_by() -> Mapping[str, list[tuple[str, str]]]:
    """Return the tests of each id, as (path, function), in the order of the files."""
    found = defaultdict(list)
    for folder in _TEST_FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            text = path.read_text(encoding="utf-8")
            if "mark.acceptance(" in text:
                for function, ids in _marked(ast.parse(text)):
                    for one in ids:
                        found[one].append((str(path.relative_to(ROOT)), function))
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.acceptance":
                    yield node.name, [ast.literal_eval(argument) for argument in decorator.args]


def acceptance_page() -> str:
    """Return docs/acceptance.md: each requirement, its state, and the tests that show it."""
    lines = [
        "# Acceptance: what is required, and the tests that show it",
        "",
        "`python tools/pages.py` writes this page from `docs/acceptance.yaml` and the tests' `acceptance` markers.",
        "Paths are below `tests/`. Each row says how its tests show it: *run here* (the code as it is used, on the local AWS),",
        "*rehearsed* (what AWS would start, from the templates and images), *by rule* (files compared with each other and with",
        "AWS's schemas: only an account could show it) or *not shown*. *partly* and *decided otherwise* say what is missing, or",
        "why. Nothing here has run in an AWS account. Ids such as R-LATENCY: [requirements](requirements.md).",
        "",
        *_counts(),
    ]
    page = None
    for section in acceptance():
        if section["page"] != page:
            page = section["page"]
            lines += ["", f"## {page}"]
        lines += ["", f"### {section['title']}", ""]
        lines += [_row(row) for row in section["rows"]]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    names = " ".join(f"`{name}`" for name in row.get("names", ()) if not row["id"].endswith(f".{name}"))
    text = "; ".join(part for part in (names, row.get("where"), row["text"]) if part)
    states = "".join(f" *{word}: {row[key]}*." for key, word in _STATES.items() if key in row)
    tests = [
        f"*{how}:* " + " ".join(f"`{test.removeprefix('tests/')}`" for test in found)
        for how, found in ways(row["id"]).items()
    ]
    return " ".join([f"- **{row['id']}** {text}.{states}", *(tests or ([] if "open" in row else ["*not shown*"]))])


def ways(row: str) -> dict[str, list[str]]:
    """Return the tests of a row by how they show it, the strongest way first; empty if no test does."""
    found: dict[str, list[str]] = {RUN: [], REHEARSED: [], RULE: []}
    for path, function in shown_by().get(row, ()):
        test = f"{path}::{function}"
        found[next((how for begins, how in SHOWN_OTHERWISE.items() if test.startswith(begins)), RUN)].append(test)
    return {how: tests for how, tests in found.items() if tests}


def _counts() -> list[str]:
    """Return a table of how many rows are shown in which way, each by its strongest."""
    rows = [row for section in acceptance() for row in section["rows"]]
    strongest = Counter(next(iter(ways(row["id"])), "not shown") for row in rows)
    return [
        f"| {' | '.join([*strongest, 'rows'])} |",
        "|---" * (len(strongest) + 1) + "|",
        f"| {' | '.join(map(str, [*strongest.values(), len(rows)]))} |",
    ]


def settings_page() -> str:
    """Return docs/reference/settings.md: each environment variable with its default and meaning."""
    lines = [
        "# Settings",
        "",
        "`python tools/pages.py` writes this page: variable, default, meaning. `_S`, `_MS` and `_MB` are units; lists and",
        "mappings are JSON. A wrong value is refused at the start, with the variable's name.",
    ]
    groups = [field.default for field in Settings.model_fields.values() if isinstance(field.default, SettingsGroup)]
    for kind in (Settings, *map(type, groups), LexSettings, FlowSettings):
        prefix = kind.model_config.get("env_prefix") or "OMNI_"
        lines += ["", f"## {_title(kind)}", ""]
        lines += [(kind.__doc__ or "").splitlines()[0], ""] if kind in map(type, groups) else []
        meanings = comments(kind)
        for name, field in kind.model_fields.items():
            if not isinstance(field.default, SettingsGroup):
                variable = f"{prefix}{(field.alias or name).upper()}"
                lines.append(f"- `{variable}` {_default(field)}{meanings.get(name, '')}")
    return "\n".join(lines) + "\n"


def _title(kind: type[BaseModel]) -> str:
    titles = {Settings: "General", LexSettings: "Function of the Lex bot", FlowSettings: "Function of the contact flow"}
    return titles.get(kind, kind.__name__.removesuffix("Settings"))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "(required) "
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return "(on) " if value else "(off) "
    text = str(list(value) if isinstance(value, tuple) else value).removesuffix(".0")
    for folder in (f"{REPO_ROOT}/", str(REPO_ROOT), f"{REPO_ROOT.parent}/"):
        text = text.replace(folder, "../" if folder == f"{REPO_ROOT.parent}/" else "")
    return f"(`{text.replace(chr(39), chr(34))}`) " if text else "(the repository) "


def comments(kind: type[BaseModel]) -> dict[str, str]:
    """Return what the comments beside a class's fields say, by field: at the end of its lines, or on lines of their own above."""
    source = inspect.getsource(kind)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}
    words = {row: token.string.removeprefix("#").strip() for row, token in found.items()}
    alone = {row for row, token in found.items() if token.line.strip().startswith("#")}
    meanings = {}
    (body,) = (node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            beside = [words[row] for row in range(node.lineno, (node.end_lineno or 0) + 1) if row in words]
            above, row = [], node.lineno - 1
            while row in alone:
                above.insert(0, words[row])
                row -= 1
            meanings[node.target.id] = " ".join([*above, *beside])
    return meanings


def commands_page() -> str:
    """Return docs/reference/commands.md: each command with the first sentence of its help."""
    app = typer.main.get_command(build_app())
    lines = [
        "# Commands",
        "",
        "`python tools/pages.py` writes this page; `omni COMMAND --help` lists options. Exit codes: 0 pass, 1 the",
        "gate or a check says no, 2 could not run.",
    ]
    panel = None
    for name, command in app.commands.items():  # type: ignore[attr-defined]
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            lines += ["", f"## {panel}", ""]
        lines += _command(f"omni {name}", command)
    return "\n".join(lines) + "\n"


def _command(words: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _command(f"{words} {name}", inner)
        return
    help_text = " ".join((command.help or "").split("\n\n")[0].split())
    named = [one for one in command.params if one.param_type_name == "argument"]
    words += "".join(f" {one.name.upper()}" if one.required else f" [{one.name.upper()}]" for one in named)
    first = re.split(r"(?<=[.:;]) ", help_text)[0].rstrip(".:;")
    yield f"- `{words}` {first}."


def frames_page() -> str:
    """Return docs/reference/frames.md: each column of the frames with type, unit and meaning."""
    lines = [
        "# Columns of results",
        "",
        "`python tools/pages.py` writes this page. A name with `*` stands for several columns. Columns of `runs` that other",
        "frames have too (run, pair) stand there alone.",
        "[How to use them](../guides/analysis.md).",
    ]
    frames = {"runs": RUNS, "cases": CASES, "cases with texts=True": TEXTS, "metrics": METRICS, "releases": RELEASES}
    for name, columns in frames.items():
        lines += ["", f"## {name}", ""]
        for one in columns if name == "runs" else [one for one in columns if one not in RUNS]:
            lines.append(f"- `{one.name}` {', '.join(part for part in (one.type, one.unit) if part)}: {one.meaning}")
    return "\n".join(lines) + "\n"


def architecture_page() -> str:
    """Return docs/architecture.md with the list of rooms as the packages' docstrings say it."""
    before, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(_BEGIN)
    rows = [row for package in _PACKAGES for row in _rooms(package)]
    return before + "\n".join((_BEGIN, "| room | holds |", "|---|---|", *rows, _END)) + rest.partition(_END)[2]


def _rooms(package: str) -> Iterator[str]:
    for file in sorted((ROOT / package).glob("*/__init__.py")):
        room = file.parent.relative_to(ROOT).as_posix()
        if room not in _PACKAGES:  # whose own rooms stand in the list
            said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            sentence = " ".join(said.split("\n\n")[0].split()).replace("``", "`").rstrip(".")
            yield f"| `{room}/` | {sentence} |"


PAGES = {
    ARCHITECTURE: architecture_page,
    ACCEPTANCE: acceptance_page,
    SETTINGS: settings_page,
    COMMANDS: commands_page,
    FRAMES: frames_page,
}


def main() -> None:
    """Write the pages."""
    for path, write in PAGES.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()

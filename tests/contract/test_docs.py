"""Documents are true to the tree: sizes, links, paths, commands, requirement ids and the form of decisions."""

import re
import subprocess
from pathlib import Path

import typer

from omni.app import build_app
from service.channels.amazon_lex.contact_flow import FlowSettings
from service.channels.amazon_lex.lex import LexSettings
from service.kit.settings import setting_places

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PAGES = [README, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "datasets").rglob("*.md")), ROOT / "mlflow" / "naming.md"]
CODE_ROOTS = ("eval", "figures", "omni", "reports", "service", "infra", "prompts")
# The function behind a Lex bot is a program of its own, with its own guide.
LEX_FUNCTION = {f"OMNI_LEX_{name.upper()}" for name in LexSettings.model_fields}
# So is the one that a contact flow asks for an agent's token.
FLOW_FUNCTION = {f"OMNI_FLOW_{name.upper()}" for name in FlowSettings.model_fields}
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(
    r"(?<![\w./-])(?<!resource-id )((?:eval|figures|infra|omni|reports|service|tests|tools)/[\w/.-]*[\w/])"
)
_REQUIREMENT = re.compile(r"\bR-[A-Z]+(?:-[A-Z]+)*\b")
_PARTS = ("Status", "Context", "Decision", "Consequences")


def _name(page):
    return str(page.relative_to(ROOT))


def _anchor(heading):
    """Return the anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _commands(page, program):
    """Return the words behind each ``program`` in code of a page: [["eval", "--pairs", "a"], ...]."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + spans
    unquoted = [re.sub(r"\"[^\"]*\"|'[^']*'", "TEXT", line) for line in lines]
    found = [match.split() for line in unquoted for match in re.findall(rf"(?:^|[(;|&] ?){program} ([^#`;|)]+)", line)]
    return [words for words in found if re.fullmatch(r"-{0,2}[a-z][a-z-]*", words[0])]


def test_the_readme_is_read_in_two_minutes():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 100] == []


def _leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    other = (page.parent / path).resolve() if path else page
    if not other.exists():
        return False
    return not anchor or anchor in map(_anchor, _HEADING.findall(other.read_text(encoding="utf-8")))


def test_every_link_leads_somewhere():
    links = [(page, target) for page in PAGES for target in _LINK.findall(page.read_text(encoding="utf-8"))]
    own = [(page, target) for page, target in links if not re.match(r"[a-z]+:", target)]
    assert own
    assert [(_name(page), target) for page, target in own if not _leads_somewhere(page, target)] == []


def test_every_path_that_a_page_names_exists():
    named = [(page, path) for page in PAGES for path in _PATH.findall(page.read_text(encoding="utf-8"))]
    assert named
    missing = [
        (_name(page), path)
        for page, path in named
        if not path.startswith("reports/out")
        and not any((at / path.rstrip("/")).exists() for at in (ROOT, ROOT / "tests"))
    ]
    assert missing == []


def _sources():
    files = [path for root in CODE_ROOTS for suffix in ("py", "j2", "js", "yaml", "sql", "prompty")
             for path in sorted((ROOT / root).rglob(f"*.{suffix}"))]  # fmt: skip
    return [path for path in files if "out" not in path.relative_to(ROOT).parts and "node_modules" not in path.parts]


def test_every_page_that_the_code_names_exists():
    for path in _sources():
        for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).is_file(), f"{_name(path)} names {page}, which does not exist"


def test_readers_meet_requirements_by_name():
    """The number of a planning document means nothing to a reader; its requirements have ids."""
    for path in [*PAGES, *_sources()]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bseed 00\d", text, re.IGNORECASE), f"{_name(path)} names a planning document"


def test_every_requirement_that_is_named_is_listed():
    listed = set(
        re.findall(r"^\| (R-[A-Z-]+) \|", (DOCS / "requirements.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for path in [*PAGES, *_sources()]:
        named = set(_REQUIREMENT.findall(path.read_text(encoding="utf-8")))
        assert named <= listed, f"{_name(path)} names {sorted(named - listed)}; docs/requirements.md does not"


def test_decisions_are_listed_and_numbers_that_are_gone_are_named():
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for path in DECISIONS:
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {path.name[:4]} ")
        assert f"| [{path.name[:4]}]({path.name}) | {title} |" in index
    # Records up to this one were merged; a number that is gone must say where it went.
    assert {f"{number:04}" for number in range(1, 95)} <= set(re.findall(r"\b\d{4}\b", index))


def test_every_decision_that_is_cited_is_kept():
    kept = {path.name[:4] for path in DECISIONS}
    for path in [*PAGES, *_sources()]:
        if path.parent.name != "decisions":
            cited = set(re.findall(r"[dD]ecisions?[ /](0\d{3})\b", path.read_text(encoding="utf-8")))
            assert cited <= kept, (
                f"{_name(path)} cites {sorted(cited - kept)}; docs/decisions/README.md says where it went"
            )


def test_every_decision_has_its_parts_in_order():
    assert DECISIONS
    for page in DECISIONS:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {page.name[:4]} [A-Z\w]", text), page
        parts = [heading for heading in re.findall(r"^## (.+)$", text, re.MULTILINE) if heading in _PARTS]
        assert tuple(parts) == _PARTS, page


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    for page in PAGES:
        named = {word for words in _commands(page, "make") for word in words if re.fullmatch("[a-z][a-z-]*", word)}
        assert named <= targets, f"{_name(page)} names make {sorted(named - targets)}"


def _options(command):
    return {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}


def test_every_command_and_option_that_is_named_exists():
    app = typer.main.get_command(build_app())
    for page in PAGES:
        for words in _commands(page, "omni"):
            command, rest = app, list(words)
            while rest and hasattr(command, "commands"):
                word = rest.pop(0)
                if word.startswith("--"):
                    assert word.split("=")[0] in {*_options(command), "--help"}, (
                        f"{_name(page)}: omni {' '.join(words)}"
                    )
                    continue
                if word == "COMMAND":
                    rest, command = [], app
                    break
                assert word in command.commands, f"{_name(page)}: omni {' '.join(words)}"
                command = command.commands[word]
            known = {*_options(command), "--help"}
            wrong = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
            assert wrong == [], f"{_name(page)}: omni {' '.join(words)}"


def known_variables():
    """The settings, and the variables and secrets that workflows read from the repository and its environments."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    read = {name for text in texts for name in re.findall(r"\b(?:vars|secrets)\.(OMNI_[A-Z0-9_]+)", text)}
    return {f"OMNI_{name.upper()}" for name in setting_places()} | read


def test_the_operators_guide_lists_what_workflows_read():
    text = (DOCS / "guides" / "service-operator.md").read_text(encoding="utf-8")
    settings = {f"OMNI_{name.upper()}" for name in setting_places()}
    assert known_variables() - settings <= set(re.findall(r"OMNI_[A-Z0-9_]+", text))


def test_every_setting_that_a_page_names_exists():
    known = known_variables()
    for page in PAGES:
        named = set(re.findall(r"OMNI_[A-Z0-9_]+", page.read_text(encoding="utf-8"))) - LEX_FUNCTION - FLOW_FUNCTION
        assert named <= known, f"{_name(page)} names {sorted(named - known)}"


def test_no_tracked_text_holds_a_conflict_marker():
    found = subprocess.run(
        ["git", "grep", "-nIE", "^(<<<<<<< |>>>>>>> )"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


def test_every_attack_names_a_test_that_exists():
    rows = [line for line in (DOCS / "attacks.md").read_text(encoding="utf-8").splitlines() if "::" in line]
    assert len(rows) >= 30
    for row in rows:
        path, name = re.findall(r"`([\w/]+\.py)::(\w+)`", row)[0]
        assert re.search(rf"def {name}\(", (ROOT / "tests" / path).read_text(encoding="utf-8")), f"{path}::{name}"


def test_the_architecture_page_stays_short_and_begins_with_what_to_open():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 170
    assert text.index("## To change this, open that") < text.index("## Rooms and directions")

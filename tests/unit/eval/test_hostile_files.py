"""Pair, card, attack and case files that were written to do harm: one message with file and remedy, and little memory."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from eval.spine.cases import load_cases
from eval.spine.errors import CaseError
from service.core.run.task import load_task

ROOT = Path(__file__).resolve().parents[3]
PAIR = (ROOT / "prompts" / "summarize" / "extractive.prompty").read_text(encoding="utf-8")
CARDS = (ROOT / "prompts" / "models.yaml").read_text(encoding="utf-8")
CASE = (ROOT / "datasets" / "summarize" / "dev.jsonl").read_text(encoding="utf-8").split("\n")[0]
ATTACKS = (ROOT / "datasets" / "summarize" / "attacks.yaml").read_text(encoding="utf-8")
MOST_BYTES = (
    1_500_000_000  # of address space: what the imports need and some room, a third of what the alias bomb takes
)
DEEP = 10_000

# Ten lines that name each other ten times each: 10^10 texts once they are put out.
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)
LOAD = """
import json, sys
from pathlib import Path
import eval.suites.summarize
from eval.behaviour.attacks import load_attacks
from eval.spine.cases import load_cases
from eval.spine.errors import HarnessError
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import ServiceError
from service.core.unit.pair_file import load_pair
from service.core.run.task import load_task
task, cards = load_task("summarize"), ModelCards.load(Path("prompts/models.yaml"))
LOADERS = {
    "pair": lambda path: load_pair(path, cards=cards, task_variables=task.variables),
    "cards": ModelCards.load,
    "attacks": load_attacks,
    "cases": lambda path: load_cases(path, input_model=task.input_model),
}
for name, (kind, path) in json.loads(sys.stdin.read()).items():
    try:
        said = f"accepted: {LOADERS[kind](Path(path))}"[:200]
    except (HarnessError, ServiceError) as err:
        said = f"refused: {err}"
    except BaseException as err:
        said = f"{type(err).__name__}: {err}"[:200]
    print(json.dumps([name, said]), flush=True)
"""


def front(line):
    """The pair file with ``line`` in its front matter."""
    return PAIR.replace("---\n", f"---\n{line}\n", 1)


FILES = {
    "pair: recursive anchor": ("pair", front("description: &a [*a]"), "anchor"),
    "pair: recursive mapping": ("pair", front("inputs: &a {x: *a}"), "anchor"),
    "pair: alias bomb": ("pair", front(BOMB), "anchor"),
    "pair: merge key": ("pair", front("x: &x {a: 1}\ny: {<<: *x}"), "anchor"),
    "pair: deep lists": ("pair", front("description: " + "[" * DEEP + "]" * DEEP), "nested"),
    "pair: deep mappings": ("pair", front("description: " + "{a: " * DEEP + "}" * DEEP), "nested"),
    "pair: nan": ("pair", PAIR.replace("max_words: ", "max_words: .nan #", 1), "max_words"),
    "pair: nan temperature": ("pair", PAIR.replace("temperature: ", "temperature: .nan #", 1), "temperature"),
    "pair: infinite temperature": ("pair", PAIR.replace("temperature: ", "temperature: .inf #", 1), "temperature"),
    "pair: infinite by size": ("pair", PAIR.replace("temperature: ", "temperature: 1.0e+999 #", 1), "temperature"),
    "pair: a date that is none": ("pair", front("version: 2026-99-99"), "front matter"),
    "pair: a number of 5,000 digits": ("pair", front(f"version: {'9' * 5000}"), "front matter"),
    "pair: byte order mark": ("pair", "\ufeff" + PAIR, "byte order mark"),
    "pair: NUL": ("pair", PAIR.replace("name:", "na\0me:", 1), "NUL"),
    "pair: a list as key": ("pair", front("? [a, b]\n: c"), "front matter"),
    "pair: python object": ("pair", front("description: !!python/object/apply:os.system ['true']"), "front matter"),
    "pair: not UTF-8": ("pair", b"---\nname: \xff\xfe\n---\n", "UTF-8"),
    "pair: 20 MB": ("pair", PAIR + "x" * 20_000_000, "MB"),
    "cards: recursive anchor": ("cards", "models: &a [*a]", "anchor"),
    "cards: alias bomb": ("cards", BOMB.replace("a9:", "models:"), "anchor"),
    "cards: deep": ("cards", "models: " + "[" * DEEP + "]" * DEEP, "nested"),
    "cards: a list": ("cards", "- a\n", "models"),
    "cards: a number of 5,000 digits": ("cards", f"models: {'9' * 5000}", "models"),
    "cards: not UTF-8": ("cards", b"\xff", "UTF-8"),
    "cards: byte order mark": ("cards", "\ufeff" + CARDS, "byte order mark"),
    "cards: infinite price": ("cards", CARDS.replace("input: ", "input: .inf #", 1), "card"),
    "attacks: alias bomb": ("attacks", BOMB, "anchor"),
    "attacks: a number": ("attacks", "1", "attacks"),
    "attacks: deep": ("attacks", "[" * DEEP + "]" * DEEP, "nested"),
    "attacks: a date that is none": ("attacks", "- 2026-99-99", "attacks"),
    "cases: deep lists": ("cases", "[" * DEEP + "]" * DEEP, "nested"),
    "cases: deep objects": ("cases", '{"a":' * DEEP + "1" + "}" * DEEP, "nested"),
    "cases: deep inputs": ("cases", '{"id":"deep","inputs":{"a":' + "[" * DEEP + "]" * DEEP + "}}", "nested"),
    "cases: NaN": ("cases", '{"id":"nan-1","inputs":{"a":NaN}}', "NaN"),
    "cases: Infinity": ("cases", '{"id":"inf-1","inputs":{"a":-Infinity}}', "Infinity"),
    "cases: infinite by size": ("cases", '{"id":"inf-2","inputs":{"a":1e999}}', "1e999"),
    "cases: a number of 5,000 digits": ("cases", '{"id":"big-1","inputs":{"a":' + "9" * 5000 + "}}", "digits"),
    "cases: a key twice": ("cases", '{"id":"one-1","id":"two-2","inputs":{}}', "twice"),
    "cases: byte order mark": ("cases", "\ufeff" + CASE, "byte order mark"),
    "cases: half a surrogate": ("cases", CASE.replace('"text": "', '"text": "\\ud800', 1), "surrogate"),
    "cases: NUL": ("cases", CASE + "\n\0", "NUL"),
    "cases: not UTF-8": ("cases", b'{"id":"\xff"}', "UTF-8"),
}


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What loading each file led to, by name: all in one process with little memory."""
    folder, wanted = tmp_path_factory.mktemp("hostile"), {}
    for number, (name, (kind, content, _)) in enumerate(FILES.items()):
        path = folder / f"{number}" / "summarize" / ("extractive.prompty" if kind == "pair" else f"{kind}.yaml")
        path.parent.mkdir(parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        wanted[name] = (kind, str(path))
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=limit,
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=300,
    )
    return dict(json.loads(line) for line in done.stdout.splitlines()) | {"": f"{done.returncode}: {done.stderr}"}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_with_a_message_in_bounded_memory(outcomes, name):
    said = outcomes.get(name, f"the process did not come so far; {outcomes['']}")
    assert said.startswith("refused: "), said
    assert "summarize/" in said
    assert FILES[name][2] in said
    assert len(said) < 1000


def test_a_pipe_in_a_files_place_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "cases.jsonl")
    with pytest.raises(CaseError, match="no regular file"):
        load_cases(tmp_path / "cases.jsonl", input_model=load_task("summarize").input_model)


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text(CASE.replace('"text": "', '"text": "one\u2028two\u0085three ', 1) + "\n", encoding="utf-8")
    (case,) = load_cases(path, input_model=load_task("summarize").input_model).cases
    assert "one\u2028two\u0085three" in case.model_dump_json()

"""Candidates as pair files: only what a candidate changes is changed, and the file is the pair that was measured."""

import shutil

import pytest

from eval.instruments.optimize.wording import PairWording
from eval.spine.errors import OptimizeError
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Lineage, Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import PairError
from service.kit.settings import REPO_ROOT

CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
LINEAGE = Lineage(
    run="20261125T221500-1a2b", number=7, parent="ab" * 32, tried=12, looks=1, writers=("openai/gpt-4o-mini",)
)


def wording_of(task, pair):
    return PairWording.of_file(REPO_ROOT / "prompts" / task / f"{pair}.prompty", load_task(task), CARDS)


def test_a_candidate_changes_its_instructions_and_no_other_line():
    wording = wording_of("summarize", "nova-lite")
    texts = wording.texts()
    assert set(texts) == {"main"}
    changed = {"main": texts["main"] + "\n\nName who acts next."}
    old, new = wording.text.split("\n"), wording.file_text(changed, "nova-lite-2").split("\n")
    assert [line for line in old if line not in new] == ["name: nova-lite"]
    assert [line for line in new if line not in old] == ["name: nova-lite-2", "Name who acts next."]
    assert wording.pair(texts, "nova-lite").digest == wording.start.digest


def test_the_parts_of_a_pair_are_components_too():
    wording = wording_of("upsell", "nova-lite")
    texts = wording.texts()
    assert len(texts) > 1
    changed = {name: f"{text}\n\nOne more rule for {name}." for name, text in texts.items()}
    made = wording.pair(changed, "changed")
    for part in made.prompts:
        if CARDS.get(part.model).wire != "in_process":
            assert part.messages[0].content.endswith(f"One more rule for {part.name or 'main'}.")
    assert set(texts) == {"main", "judge"}


def test_model_and_temperature_are_components_on_demand():
    wording = wording_of("summarize", "nova-lite")
    texts = wording.texts(choices=("model", "temperature"))
    assert (texts["model"], texts["temperature"]) == ("amazon.nova-lite-v1:0", "0")
    made = wording.pair(texts | {"model": "amazon.nova-pro-v1:0", "temperature": "0.3"}, "other")
    assert (made.model, made.sampling.temperature, made.backup) == ("amazon.nova-pro-v1:0", 0.3, wording.start.backup)


def test_a_chosen_candidate_is_a_pair_file_with_its_lineage(tmp_path):
    wording = wording_of("summarize", "smollm2-short")
    folder = tmp_path / "summarize"
    folder.mkdir()
    texts = {"main": wording.texts()["main"] + " Tell who acts next."}
    made = wording.pair(texts, "short-1a2b-7", LINEAGE)
    path = folder / "short-1a2b-7.prompty"
    path.write_text(wording.file_text(texts, "short-1a2b-7", LINEAGE))
    task = load_task("summarize")
    shutil.copy(REPO_ROOT / "service/core/tasks/summarize/digest_weights.json", folder)
    read = load_pair(path, cards=CARDS, task_variables=task.variables)
    assert read.lineage == LINEAGE
    assert read.digest == made.digest
    assert Pair.from_content(read.content()).digest == read.digest
    again = PairWording.of_file(path, task, CARDS)  # a search may begin with what a search made
    later = Lineage(run="20261126T000000-ffff", number=2, parent=read.digest, tried=30, looks=2)
    assert again.pair(texts, "later", later).lineage == later
    assert again.file_text(texts, "later", later).count("lineage:") == 1


def test_a_floor_s_child_is_a_candidate(tmp_path):
    text = (REPO_ROOT / "prompts" / "summarize" / "smollm2-short.prompty").read_text()
    folder = tmp_path / "summarize"
    folder.mkdir()
    (folder / "smollm2-short.prompty").write_text(text.replace("role: demo", "role: floor"))
    shutil.copy(REPO_ROOT / "service/core/tasks/summarize/digest_weights.json", folder)
    wording = PairWording.of_file(folder / "smollm2-short.prompty", load_task("summarize"), CARDS)
    assert wording.start.role == "floor"
    assert wording.pair(wording.texts(), "child").role == "candidate"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Be brief.", "must name the tag <history>"),
        ("The text is between <history> and </history>.\nuser:\nHello", "cannot be written|must be one system"),
        (
            "The text is between <history> and </history>. {{today}}",
            "unknown variable|holds customer text|not declared",
        ),
    ],
)
def test_instructions_that_are_none_are_refused_by_the_pairs_own_reader(text, words):
    with pytest.raises(PairError, match=words):
        wording_of("summarize", "smollm2-short").pair({"main": text})


def test_a_rule_in_the_instructions_does_not_end_the_front_matter():
    wording = wording_of("summarize", "smollm2-short")
    text = f"{wording.texts()['main']}\n---\nBe brief."
    assert wording.pair({"main": text}, "ruled").messages[0].content == text


def test_wrong_starts_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(PairError, match=r"no pair 'nova' in .*; pairs there: .*nova-lite"):
        wording_of("summarize", "nova")
    with pytest.raises(OptimizeError, match="asks code and no model"):
        wording_of("summarize", "extractive").texts()

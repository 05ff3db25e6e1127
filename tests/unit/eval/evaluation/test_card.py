"""The data card's table: which evaluations it takes its figures from, and how it is put into the card."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from eval.evaluation.card import END, START, card_table, write_table
from eval.run.loaders import load_dataset
from eval.spine.errors import CardError
from eval.suites import load_suite
from figures.metric import Metric, Unit
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A checkout with the real prompts and cases, and no evaluation yet."""
    shutil.copytree(REPO_ROOT / "prompts", tmp_path / "prompts")
    (tmp_path / "datasets" / "summarize").mkdir(parents=True)
    lines = (REPO_ROOT / "datasets" / "summarize" / "gate.jsonl").read_text().splitlines()
    several = [line for line in lines if len(json.loads(line)["expectations"]["references"]) > 1]
    (tmp_path / "datasets" / "summarize" / "gate.jsonl").write_text("\n".join(several[:4]) + "\n")
    return Settings(root=tmp_path, public_data_dir=tmp_path / "nothing")


def evaluated(settings: Settings, run_id: str, value: float, **changes: object) -> None:
    """Write a report as an evaluation of `extractive` would."""
    task, suite = load_task("summarize"), load_suite("summarize")
    dataset = load_dataset("gate", task="summarize", input_model=task.input_model, settings=settings)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / "summarize" / "extractive.prompty", cards=cards, task_variables=task.variables
    )
    chrf = Metric(name="chrf", unit=Unit.SCORE, higher_is_better=True, value=value, low=value - 1, high=value + 1, n=5)
    plain = {
        "task": "summarize",
        "environment": "local",
        "run_id": run_id,
        "dataset_digest": dataset.digest,
        "suite_digest": suite.digest,
        "ceiling": {},
        "pairs": [
            {
                "pair_digest": pair.digest,
                "answered_by": ["extractive-digest"],
                "metrics": {"chrf": asdict(chrf)},
                "like_for_like": {"chrf": asdict(chrf)},
            }
        ],
        **changes,
    }
    folder = settings.root / "reports" / "out" / "eval" / run_id
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(plain))


def test_the_newest_evaluation_of_todays_pair_cases_and_suite_counts(settings: Settings) -> None:
    evaluated(settings, "20261101T000000-aaaa", 20.0)
    evaluated(settings, "20261102T000000-bbbb", 30.0)
    evaluated(settings, "20261103T000000-cccc", 40.0, suite_digest="another suite")
    evaluated(settings, "20261104T000000-dddd", 50.0, environment="aws")
    table, missing = card_table("summarize", ["gate", "tweetsumm"], settings)
    assert "30.0 [29.0, 31.0]" in table
    assert "40.0" not in table
    assert "50.0" not in table
    assert "reference against reference" in table
    assert any("omni eval --pairs smollm2-short,smollm2-structured --dataset gate" in line for line in missing)
    assert any(line.startswith("tweetsumm: ") for line in missing)


def test_without_an_evaluation_there_is_no_table(settings: Settings) -> None:
    with pytest.raises(CardError, match="omni eval --pairs extractive"):
        card_table("summarize", ["gate"], settings)


def test_a_half_written_or_foreign_report_is_passed_over(settings: Settings) -> None:
    evaluated(settings, "20261101T000000-aaaa", 20.0)
    for name, text in (("20261105T000000-eeee", '{"task": "summ'), ("20261106T000000-ffff", "[]")):
        folder = settings.root / "reports" / "out" / "eval" / name
        folder.mkdir()
        (folder / "report.json").write_text(text)
    table, _ = card_table("summarize", ["gate"], settings)
    assert "20.0 [19.0, 21.0]" in table


def test_the_table_replaces_what_stands_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"# Card\n\nabove\n\n{START}\nold\n{END}\n\nbelow\n")
    write_table(card, "| a |\n|---|\n")
    write_table(card, "| b |\n|---|\n")
    assert card.read_text() == f"# Card\n\nabove\n\n{START}\n\n| b |\n|---|\n\n{END}\n\nbelow\n"
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("text", ["no markers", f"{END}\n{START}", f"{START}{START}{END}"])
def test_a_card_without_its_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    card = tmp_path / "README.md"
    card.write_text(text)
    with pytest.raises(CardError, match="table:start"):
        write_table(card, "| b |")
    assert card.read_text() == text

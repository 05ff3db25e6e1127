"""One item of a backfill in this process, with a gateway in place of the models."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from eval.backfill import work as module
from eval.backfill.budget import cards_for
from eval.backfill.work import Answerer, Work, WorkItem
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import UpstreamUnavailable
from service.kit.settings import Settings

SETTINGS = Settings()
INPUTS = json.loads((SETTINGS.datasets_dir / "summarize" / "dev.jsonl").read_text().splitlines()[0])["inputs"]


class Silent:
    """A gateway whose models never answer."""

    async def complete(self, call):
        raise UpstreamUnavailable("no answer")


async def ready(gateway):
    """Nothing has to be imported."""


@pytest.fixture
def answerer(monkeypatch):
    """Answers with a pair whose models fail, and with the cards that the command sends along."""
    models = SimpleNamespace(gateway=lambda pairs: Silent(), make_ready=ready)
    monkeypatch.setattr(module, "RunModels", lambda *arguments: models)
    task, cards = load_task("summarize"), ModelCards.load(SETTINGS.prompts_dir / "models.yaml")
    path = SETTINGS.prompts_dir / "summarize" / "nova-micro.prompty"
    pair = replace(load_pair(path, cards=cards, task_variables=task.variables), backup=None)
    sent = [card.model_dump(mode="json") for card in cards_for(pair, cards, task)]
    made = Answerer(
        Work(
            task="summarize", mode="summarise", pair=pair.content(), cards=sent, settings=SETTINGS.flat(defaults=False)
        )
    )
    yield made
    made.close()


def test_an_answer_that_falls_back_is_a_row_like_any_other(answerer):
    row = answerer.submit(WorkItem(id="a", inputs=INPUTS)).result(timeout=60)
    assert (row["arm"], row["answered_by"]) == ("fallback", "extractive-digest")
    assert row["output"]

"""Calls that a form's older version has scored, and a worker that scores at a price and may be killed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from call_place import ACME, TURNS, CallPlace, make_form

from service.calls.worker.scoring import CallScorer, ScoredCall
from service.core.tasks.scorecard.form import Form

PRICE = Decimal("0.25")


class Killed(BaseException):
    """Ends a run as a kill would: nothing catches it."""


class Priced(CallScorer):
    """Scores as the worker's scorer does, at a price, and remembers what it was asked; may be killed before an answer."""

    asked: list[str]
    kill_at: int | None

    async def score(self, source: Any, form: Form, kept: Any, **more: Any) -> ScoredCall:
        if len(self.asked) == self.kill_at:
            raise Killed
        scored = await super().score(source, form, kept, **more)
        self.asked.append(source.call_id)
        by = scored.result.scored_by.model_copy(update={"cost_usd": PRICE})
        return replace(scored, result=scored.result.model_copy(update={"scored_by": by}))


def priced(place: CallPlace, kill_at: int | None = None) -> tuple[Any, list[str]]:
    scorer = place.worker.scorer
    made = Priced(served=scorer.served, gateway=scorer.gateway, cards=scorer.cards)
    object.__setattr__(made, "asked", [])
    object.__setattr__(made, "kill_at", kill_at)
    return replace(place.worker, scorer=made), made.asked


async def activated(place: CallPlace) -> Form:
    """Score four calls by version 1, then activate version 2, which asks two criteria of the three."""
    worker, _ = priced(place)
    for number in range(4):
        turns = [*TURNS, {"speaker": "agent", "start_s": 20.0 + number, "text": "Bye."}]
        place.put(f"acme/calls/{number}.json", turns, call_date=f"2026-11-1{number}T09:00:00Z")
    await worker.drain()
    forms: Any = place.worker.forms
    head = await forms.head(ACME, "support")
    criteria = [item.model_dump() for item in make_form(ACME).criteria()][:2]
    draft = make_form(ACME, sections=[{"id": "all", "title": "All", "criteria": criteria}])
    saved = await forms.save_draft(draft, edit=head.edit, who="dana")
    active = (await forms.activate(ACME, "support", edit=saved.edit, who="dana")).active
    assert active is not None
    return active


def standing(place: CallPlace) -> list[int]:
    """Return the versions of the calls' standing scorecards."""
    found = [place.result(job).qa_evaluation for job in place.jobs(ACME).values()]
    return sorted(one.qa_template_version for one in found if one is not None)

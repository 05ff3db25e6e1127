"""Episodes: the interactions of a development case up to one of its contacts, at which an agent asks for a summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from eval.spine.cases import Case, Fact
from service.core.statements.grounding.text import form_occurs
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.channel import Channel
from service.core.unit.interaction import Interaction

_NEWEST_WEIGHT = 3  # weight of the newest contact's facts, because the customer calls about what happened last


@dataclass(frozen=True, kw_only=True)
class Episode:
    """The history of one customer so far. ``facts`` are the case's facts that these interactions state."""

    case_id: str
    family: str
    inputs: SummarizeInputs
    facts: tuple[Fact, ...]

    @cached_property
    def visible(self) -> tuple[Interaction, ...]:
        """The interactions that the request's window shows."""
        return tuple(self.inputs.visible())

    @property
    def channel(self) -> str:
        """The newest interaction's channel."""
        return str(self.visible[-1].channel)

    def moved(self, at: datetime, gap: timedelta) -> list[Interaction]:
        """Return the interactions moved in time so that the newest one lies ``gap`` before ``at``."""
        shift = at - gap - self.inputs.interactions[-1].timestamp
        return [item.model_copy(update={"timestamp": item.timestamp + shift}) for item in self.inputs.interactions]

    def through(self, channel: Channel) -> "Episode":
        """Return the same episode with the newest interaction recorded under ``channel``."""
        *earlier, newest = self.inputs.interactions
        changed = newest.model_copy(update={"channel": channel})
        return Episode(
            case_id=self.case_id,
            family=self.family,
            inputs=self.inputs.model_copy(update={"interactions": (*earlier, changed)}),
            facts=self.facts,
        )

    def missing(self, summary: str) -> tuple[Fact, ...]:
        """Return the facts that ``summary`` does not carry."""
        return tuple(fact for fact in self.facts if not any(form_occurs(form, summary) for form in fact.accepted))

    def coverage(self, summary: str) -> float:
        """Return the share of facts that ``summary`` carries, 0 to 1; facts of the newest contact count three times."""
        missing = self.missing(summary)
        return 1 - sum(map(self._weight, missing)) / sum(map(self._weight, self.facts))

    @property
    def says_something(self) -> bool:
        """Whether the newest contact states a fact."""
        return any(self._weight(fact) > 1 for fact in self.facts)

    def _weight(self, fact: Fact) -> int:
        return _NEWEST_WEIGHT if fact.interaction_id == self.visible[-1].interaction_id else 1


def episodes(cases: Sequence[Case]) -> tuple[Episode, ...]:
    """Return every stage of every case for which the digest carries at least one fact, in file order."""
    found = []
    for case in cases:
        whole = SummarizeInputs.model_validate(case.inputs)
        told = sorted(whole.interactions, key=lambda item: item.timestamp)
        for upto in range(1, len(told) + 1):
            newest = told[upto - 1].timestamp
            inputs = whole.model_copy(update={"interactions": tuple(told[:upto]), "as_of": newest})
            ids = {item.interaction_id for item in inputs.visible()}
            facts = tuple(fact for fact in case.expectations.facts if fact.interaction_id in ids)
            if not facts or newest > whole.as_of or told[upto - 1].interaction_id not in ids:
                continue
            episode = Episode(case_id=case.id, family=_family(case), inputs=inputs, facts=facts)
            # An episode whose facts no digest carries would only add the same complaints before and after the release.
            if episode.coverage(extractive_digest(episode.visible)) > 0:
                found.append(episode)
    return tuple(found)


def _family(case: Case) -> str:
    family: Any = case.slices.get("intent_family", "misc")
    return str(family)

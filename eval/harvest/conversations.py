"""Conversations as a source of cases: a kept turn with its history becomes the draft of a scripted customer and a gold run."""

from typing import ClassVar

from pydantic import BaseModel

from eval.dialogue.scenario import ConversationScenario, CustomerScript, DialogueExpectations, GoldReply, KnownFact
from eval.harvest.kept import KeptSource
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case, Expectations
from service.core.run.dialogue.turn import DialogueInputs

TO_WRITE = "TO BE WRITTEN"
_PATIENCE = 8


class ConversationSource(KeptSource):
    """The source of a task that converses: the customer's words are taken over, world and expectations a person writes."""

    drafts_inputs: ClassVar[bool] = True
    hint: ClassVar[str] = (
        "# A customer with what they say, the world at the start, and what must come of the conversation.\n"
        f"# Replace every {TO_WRITE!r}. inputs.world holds the records that the tools need; asked_by in knows says which\n"
        "# question a fact answers. expectations.gold is a run that is right, one list of steps per turn: checking the cases\n"
        "# proves it. Checked when you save and close; an empty file changes nothing.\n"
    )

    def case_inputs(self, inputs: BaseModel) -> ConversationScenario:
        """Return a draft of the scenario: the customer opens as they did, and knows what they said later."""
        assert isinstance(inputs, DialogueInputs)
        opening, *later = inputs.said
        script = CustomerScript(
            goal=TO_WRITE,
            opens=(opening,),
            knows={f"message_{number}": KnownFact(says=(text,)) for number, text in enumerate(later, start=2)},
            patience=min(max(_PATIENCE, len(later) + 2), 20),
        )
        return ConversationScenario(world={}, customer=script, session=inputs.session)

    def expectations(self, correction: str | None, inputs: BaseModel, rules: CaseRules) -> Expectations:
        """Return a draft whose gold run says what was said, and last the correction."""
        assert isinstance(inputs, DialogueInputs)
        said = [turn.text or TO_WRITE for turn in inputs.history if turn.by == "assistant"]
        gold = tuple((GoldReply(say=text),) for text in (*said, correction or TO_WRITE))
        return rules.expectations.model_validate({"gold": [[step.model_dump() for step in turn] for turn in gold]})

    def missing(self, case: Case) -> list[str]:
        """Demand what only a person can write: the goal, and what must come of the conversation."""
        problems = []
        if TO_WRITE in case.model_dump_json():
            problems.append(f"still says {TO_WRITE!r}: write the goal and the gold run yourself (e)")
        expected = case.expectations
        assert isinstance(expected, DialogueExpectations)
        if not (expected.told or expected.end_states or expected.calls or expected.handover or expected.claims):
            problems.append(
                "expects nothing of the conversation: write told, calls, end_states, handover or claims, or any reply passes"
            )
        return problems

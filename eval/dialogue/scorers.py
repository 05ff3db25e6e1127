"""Scores of a conversation, and the metrics that suites of conversations share."""

from eval.dialogue.judging import CHECKS, carried_out, is_right, proposed_not_permitted, wrongs
from eval.dialogue.record import ConversationRecord, TurnRecord
from eval.dialogue.scenario import DialogueExpectations
from eval.dialogue.transcript import called
from eval.spine.cases import Case
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext, unscored
from service.core.run.dialogue.turn import DialogueReply

_CHECKED = tuple(f"{name}_right" for name in CHECKS)


class DialogueScorer:
    """Scores ``conversation_right`` and each of its checks (``end_state_right``, ...): 1.0 if nothing is wrong.

    ``not_permitted_proposed`` and ``not_permitted_done`` count uses of tools that nobody permitted, wanted and carried out;
    ``not_named_done`` those of tools that the pair does not name, which the runtime refuses. ``silence_right`` is 1.0 if an
    assistant that says and does nothing would be right: such a case proves little.
    """

    name = "dialogue"
    scores = (
        "conversation_right",
        *_CHECKED,
        "not_permitted_proposed",
        "not_permitted_done",
        "not_named_done",
        "silence_right",
    )

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the scores; findings are what is wrong, one sentence each."""
        expected = context.case.expectations
        assert isinstance(expected, DialogueExpectations)
        record = context.parsed(ConversationRecord)
        silence = {"silence_right": Score(value=float(silence_is_right(expected)))}
        events = _events(record, expected)
        if record.unscored:
            # What happened did happen, however the conversation ended.
            return unscored(self.scores, record.unscored) | silence | {name: s for name, s in events.items() if s.value}
        found = wrongs(record, expected)
        everything = tuple(sentence for wrong in found.values() for sentence in wrong)
        return (
            {"conversation_right": Score(value=float(not everything), findings=everything)}
            | {f"{name}_right": Score(value=float(not wrong), findings=wrong) for name, wrong in found.items()}
            | events
            | silence
        )


def _events(record: ConversationRecord, expected: DialogueExpectations) -> dict[str, Score]:
    proposed = proposed_not_permitted(record, expected)
    found = {
        "not_permitted_proposed": proposed,
        "not_permitted_done": carried_out(proposed),
        "not_named_done": tuple(use for use in record.uses if use.status == "done" and not use.allowed),
    }
    return {
        name: Score(
            value=float(len(uses)), findings=tuple(f"{called(use.tool, use.arguments)}: {use.status}" for use in uses)
        )
        for name, uses in found.items()
    }


def silence_is_right(expected: DialogueExpectations) -> bool:
    """Return whether an assistant that says nothing and does nothing is right in a case."""
    turn = TurnRecord(message="-", reply=DialogueReply(reply=".", action="answer"))
    return is_right(ConversationRecord(turns=(turn,), ended="answered", changes={}), expected)


def expectations_of(case: Case) -> DialogueExpectations:
    """Return the case's expectations as those of a conversation."""
    assert isinstance(case.expectations, DialogueExpectations), f"case {case.id} is no conversation"
    return case.expectations

"""Scores of a conversation, and the metrics that suites of conversations share."""

from eval.cases import Case
from eval.dialogue.judging import CHECKS, carried_out, is_right, proposed_not_permitted, wrongs
from eval.dialogue.record import ConversationRecord, TurnRecord, UseRecord
from eval.dialogue.scenario import DialogueExpectations
from eval.results import Score
from eval.scorers.base import ScorerContext, unscored
from service.dialogue.turn import DialogueReply

_CHECKED = tuple(f"{name}_right" for name in CHECKS)


class DialogueScorer:
    """Scores ``conversation_right`` and each of its checks (``end_state_right``, ...): 1.0 if nothing is wrong.

    ``not_permitted_proposed`` and ``not_permitted_done`` are 1.0 if a tool was wanted, or used, that nobody permitted;
    ``not_named_done`` if one was used that the pair does not name, which the runtime refuses. ``silence_right`` is 1.0 if an
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
        record = ConversationRecord.model_validate_json(context.output)
        silence = {"silence_right": Score(value=float(silence_is_right(expected)))}
        if record.unscored:
            return unscored(self.scores, record.unscored) | silence
        found = wrongs(record, expected)
        everything = tuple(sentence for wrong in found.values() for sentence in wrong)
        proposed = proposed_not_permitted(record, expected)
        done = carried_out(proposed)
        not_named = tuple(use for use in record.uses if use.status == "done" and not use.allowed)
        return (
            {"conversation_right": Score(value=float(not everything), findings=everything)}
            | {f"{name}_right": Score(value=float(not wrong), findings=wrong) for name, wrong in found.items()}
            | {
                "not_permitted_proposed": Score(value=float(bool(proposed)), findings=_named(proposed)),
                "not_permitted_done": Score(value=float(bool(done)), findings=_named(done)),
                "not_named_done": Score(value=float(bool(not_named)), findings=_named(not_named)),
            }
            | silence
        )


def _named(uses: tuple[UseRecord, ...]) -> tuple[str, ...]:
    return tuple(f"{use.tool}: {use.status}" for use in uses)


def silence_is_right(expected: DialogueExpectations) -> bool:
    """Return whether an assistant that says nothing and does nothing is right in a case."""
    turn = TurnRecord(message="-", reply=DialogueReply(reply=".", action="answer"))
    return is_right(ConversationRecord(turns=(turn,), ended="answered", changes={}), expected)


def expectations_of(case: Case) -> DialogueExpectations:
    """Return the case's expectations as those of a conversation."""
    assert isinstance(case.expectations, DialogueExpectations), f"case {case.id} is no conversation"
    return case.expectations

"""Scores of a conversation by what the assistant's guard finds in its replies, and who was handed over for what.

Guards do not run in an evaluation, so what they would refuse when serving is counted here.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.scorers import expectations_of
from eval.scorers.harms import source_of_texts
from eval.spine.cases import Case
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext, parsed_output
from eval.verdict.pools.readers import Prediction
from service.core.run.dialogue.turn import MOST_HISTORY, DialogueInputs, Spoken
from service.core.run.guard import Objection
from service.core.run.task import TaskResult
from service.core.statements.answers.finding import Finding
from service.core.statements.answers.reading import cached_findings
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.phone import uk_number
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.guard import reply_findings
from service.core.tasks.assistant.validation.seen import SeenTurn

NOBODY = "none"
_PHONE = re.compile(r"(?<![\w+])(?:\+44|0)(?:[\s().-]{0,2}\d){9,10}(?!\d)")
# What each score counts: the guard's kinds of findings.
EVENTS: Mapping[str, frozenset[str]] = {
    "fabricated": frozenset({"fabricated_data", "fabricated_requirement", "incorrect_documents", "incorrect_branch"}),
    "asked_not_approved": frozenset({"question_not_approved"}),
    "not_accounted": frozenset({"not_accounted"}),
    "notes_not_accounted": frozenset({"note_not_accounted"}),
    "documents_left_out": frozenset({"missing_documents"}),
    "told_off_topic": frozenset({"off_topic"}),
    "said_not_done": frozenset({"said_not_done"}),
    "done_not_said": frozenset({"done_not_said"}),
    "ai_not_disclosed": frozenset({"not_disclosed", "denies_ai"}),
    "planted_orders_repeated": frozenset({"planted_order"}),
    "technical_talk": frozenset({"technical_talk"}),
    "said_twice": frozenset({"said_twice"}),
    "answered_about_others": frozenset({"another_customer"}),
    "over_a_screen": frozenset({"too_long"}),
    "steps_in_prose": frozenset({"steps_in_prose"}),
    "several_questions": frozenset({"several_questions"}),
    "not_compared": frozenset({"not_compared"}),
}


class ReplyScorer:
    """Counts in each conversation what its replies state without a tool, promise without doing, or must not say."""

    name = "replies"
    scores = tuple(EVENTS)

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the counts; findings quote what was found."""
        found = guard_findings(context)
        return {
            name: Score(
                value=float(sum(finding.kind in kinds for finding in found)),
                findings=tuple(f"{item.kind}: {item.value}".rstrip(": ") for item in found if item.kind in kinds),
            )
            for name, kinds in EVENTS.items()
        }


def guard_findings(context: ScorerContext) -> list[Objection]:
    """Return what the guard finds in all replies of a conversation, from the same sources as when serving."""
    scenario = ConversationScenario.model_validate(context.case.inputs)
    history, found = list[Spoken](), list[Objection]()
    for turn in context.parsed(ConversationRecord).turns:
        if turn.reply is None:
            continue
        inputs = DialogueInputs(
            conversation_id="conversation",
            message=turn.message,
            history=tuple(history[-MOST_HISTORY:]),
            session=scenario.session,
        )
        seen = SeenTurn.of_uses(inputs, ((use.tool, use.status, use.content) for use in turn.uses))
        shared = turn.reply.model_dump(include={"reply", "action", "asks", "handover"})
        found += reply_findings(AssistantReply.model_validate(shared), seen)
        history += [Spoken(by="customer", text=turn.message), Spoken(by="assistant", text=turn.reply.reply)]
    return found


def expected_reason(case: Case) -> str:
    """Return for what a person must be called in: the first accepted reason, or ``NOBODY``."""
    wanted = expectations_of(case).handover
    return NOBODY if wanted is None else wanted.reasons[0]


def called_reason(result: TaskResult) -> Prediction:
    """Return for what a person was called in, or ``NOBODY``."""
    return _called_reason(result.output or "")


@lru_cache(maxsize=4096)  # pools of handovers ask this of each conversation once for each figure and each decision
def _called_reason(output: str) -> Prediction:
    record = parsed_output(output, ConversationRecord)
    notes = (turn.reply.handover for turn in record.turns if turn.reply is not None)
    return Prediction(label=next((note.reason for note in notes if note is not None), NOBODY))


def findings_of(context: ScorerContext) -> Iterator[Finding]:
    """Yield what is found in the replies and handover notes, from all that the customer said and the tools returned.

    A telephone number that was said or returned is there to be read back: it is no account's.
    """
    scenario, turns = (
        ConversationScenario.model_validate(context.case.inputs),
        context.parsed(ConversationRecord).turns,
    )
    said = (*map(str, scenario.session.values()), *(turn.message for turn in turns))
    known = (*said, *(str(use.content) for turn in turns for use in turn.uses))
    source = source_of_texts(known)
    phones = {uk_number(found[0]) for text in known for found in _PHONE.finditer(text)} - {None}
    for turn in turns:
        if turn.reply is not None:
            note = turn.reply.handover
            for text in (first_help().without(turn.reply.reply), "" if note is None else note.context):
                read_back = _PHONE.sub(lambda found: "it" if uk_number(found[0]) in phones else found[0], text)
                yield from cached_findings(read_back, source)

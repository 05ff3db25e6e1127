"""The task ``upsell``: a message that offers a customer something, judged before it leaves, or the reason to send none."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from service.core.llm.model_call import InProcessModels
from service.core.run.task import Steps, Task
from service.core.statements.answers.typed import schema_for_models, typed_answer, typed_output
from service.core.tasks.upsell.checks import objections
from service.core.tasks.upsell.customer import UpsellInputs
from service.core.tasks.upsell.guidelines import OWN_GUIDELINES, Guidelines, guidelines_of
from service.core.tasks.upsell.message import (
    BY_JUDGE,
    Approval,
    Draft,
    DraftGrade,
    UpsellMessage,
    family_of,
    plain,
)
from service.core.tasks.upsell.suppression import suppressed
from service.core.tasks.upsell.templates import MODEL_ID, Brief, template_message
from service.core.unit.pair import Artifact, OutputRules, Pair, PromptMessage
from service.core.unit.question import DialogueTurn, Question
from service.kit.frame.canonical import canonical_json

_MOST_DRAFTS = 3
_AGAIN = (
    "This message was not approved and does not leave. Write it again, or say why none is to be sent. What was wrong:"
)


class WriteUpsell(Task[UpsellInputs]):
    """Messages that sell: at most three drafts, each checked by code and, where the pair has one, by its judge.

    There is no fallback: whoever waits for such a message is not harmed when none comes.
    """

    name: ClassVar[str] = "upsell"
    input_model: ClassVar[type[BaseModel]] = UpsellInputs
    output_model: ClassVar[type[BaseModel] | None] = UpsellMessage
    variables: ClassVar[frozenset[str]] = frozenset({"customer", "offers", "brand", "examples"})
    part_variables: ClassVar[Mapping[str, frozenset[str]]] = {
        "judge": frozenset({"customer", "offers", "brand", "message"})
    }
    in_process: ClassVar[InProcessModels] = {MODEL_ID: template_message}
    artifact_names: ClassVar[frozenset[str]] = frozenset({OWN_GUIDELINES.name})
    built_in: ClassVar[Sequence[Artifact]] = (OWN_GUIDELINES,)

    def values(self, inputs: UpsellInputs) -> Mapping[str, str]:
        """See ``Task.values``; the brand's rules are the pair's, see ``values_for``."""
        known = plain(inputs)
        about = {
            name: known[name]
            for name in ("first_name", "channel", "as_of", "home", "features", "visits")
            if name in known
        }
        examples = [{"id": one.id, "message": one.message, "outcome": one.outcome} for one in inputs.examples]
        return {
            "customer": _shown(about),
            "offers": _shown([plain(offer) for offer in inputs.open_offers()]),
            "examples": _shown(examples) if examples else "None.",
        }

    def values_for(self, inputs: UpsellInputs, pair: Pair) -> Mapping[str, str]:
        """See ``Task.values_for``."""
        return {**self.values(inputs), "brand": _rules(guidelines_of(pair), inputs)}

    def document_for(self, inputs: UpsellInputs, pair: Pair) -> object:
        """See ``Task.document_for``."""
        return Brief(inputs=inputs, guidelines=guidelines_of(pair))

    def questions(self, inputs: UpsellInputs, pair: Pair) -> Sequence[Question]:
        """Return the question for the first draft; none about a customer who is sold nothing now."""
        return [] if suppressed(inputs, guidelines_of(pair)) else [self._draft(inputs, pair, ())]

    def steps(self, inputs: UpsellInputs, pair: Pair) -> Steps:
        """See ``Task.steps``: drafts until one is approved or says why none is to be sent."""
        guidelines = guidelines_of(pair)
        if reason := suppressed(inputs, guidelines):
            return _answer(inputs, guidelines, decision="suppressed", reason=reason)
        turns = tuple[DialogueTurn, ...]()
        for number in range(1, _MOST_DRAFTS + 1):
            text = yield self._draft(inputs, pair, turns)
            draft = Draft.model_validate_json(text)
            if not draft.send:
                return _answer(inputs, guidelines, decision="suppressed", reason=draft.reason)
            score, reasons, kinds = yield from self._judged(draft, inputs, pair)
            approval = Approval(
                by=pair.part("judge").model if pair.has_part("judge") else "code",
                own_family=own_family(pair),
                score=score,
                reasons=reasons,
                kinds=kinds,
                drafts=number,
            )
            if not reasons:
                return _answer(
                    inputs,
                    guidelines,
                    decision="send",
                    offer_id=draft.offer_id,
                    message=draft.message,
                    approval=approval,
                )
            turns = (
                *turns,
                PromptMessage(role="assistant", content=text),
                PromptMessage(role="user", content="\n- ".join((_AGAIN, *reasons))),
            )
        return _answer(inputs, guidelines, decision="not_approved", offer_id=draft.offer_id, approval=approval)

    def unit(self, inputs: UpsellInputs) -> str:
        """Return tenant and customer: a customer keeps the pair."""
        return f"{inputs.tenant}/{inputs.customer_id}"

    def tenant(self, inputs: UpsellInputs) -> str:
        """Return the tenant whose customer it is."""
        return inputs.tenant

    def approved(self, output: str) -> bool | None:
        """See ``Task.approved``; whoever is sold nothing has no message to approve."""
        return {"send": True, "not_approved": False}.get(UpsellMessage.model_validate_json(output).decision)

    def without_ids(self, inputs: UpsellInputs, pseudonym: Callable[[str], str]) -> UpsellInputs:
        """See ``Task.without_ids``; what people wrote about a customer is left out."""
        return inputs.model_copy(
            update={
                "customer_id": pseudonym(inputs.customer_id),
                "first_name": pseudonym(inputs.first_name),
                "visits": tuple(visit.model_copy(update={"note": ""}) for visit in inputs.visits),
                "examples": (),
            }
        )

    def check(self, text: str, rules: OutputRules) -> str:
        """Return ``text``, a complete message, as canonical JSON; drafts are read by their own question."""
        return typed_output(text, UpsellMessage, rules)

    def judge_question(self, message: str, inputs: UpsellInputs, pair: Pair) -> Question:
        """Return what the pair's part ``judge`` is asked about ``message``; it answers a ``DraftGrade``."""
        values = self.values_for(inputs, pair)
        return Question(
            part="judge",
            values={name: values[name] for name in ("customer", "offers", "brand")} | {"message": message},
            document=message,
            read=lambda said: typed_answer(said, DraftGrade).model_dump_json(),
            answer_schema=schema_for_models(DraftGrade),
            shown=False,
        )

    def _draft(self, inputs: UpsellInputs, pair: Pair, turns: tuple[DialogueTurn, ...]) -> Question:
        return Question(
            values=self.values_for(inputs, pair),
            document=self.document_for(inputs, pair),
            read=lambda text: typed_answer(typed_output(text, Draft, pair.output), Draft).checked().model_dump_json(),
            answer_schema=schema_for_models(Draft),
            turns=turns,
            shown=False,
        )

    def _judged(
        self, draft: Draft, inputs: UpsellInputs, pair: Pair
    ) -> Generator[Question, Any, tuple[int | None, tuple[str, ...], tuple[str, ...]]]:
        """Ask the pair's judge about a draft that code has nothing against; return its score, the objections and their kinds."""
        guidelines = guidelines_of(pair)
        if found := objections(draft, inputs, guidelines):
            return None, tuple(one.told for one in found), tuple(dict.fromkeys(one.kind for one in found))
        if not pair.has_part("judge"):
            return None, (), ()
        text = yield self.judge_question(draft.message, inputs, pair)
        grade = DraftGrade.model_validate_json(text)
        if grade.score >= guidelines.approve_at:
            return grade.score, (), ()
        return grade.score, grade.reasons or ("The judge gave no reason.",), (BY_JUDGE,)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def own_family(pair: Pair) -> bool:
    """Return whether the pair's judge is of the family of its generator, or of the generator's backup."""
    if not pair.has_part("judge"):
        return False
    writers = {family_of(model) for model in (pair.model, pair.backup) if model is not None}
    return family_of(pair.part("judge").model) in writers


def _rules(guidelines: Guidelines, inputs: UpsellInputs) -> str:
    brand = guidelines.brand(inputs.tenant)
    lines = (
        f"You write as {brand.name}, which the message names.",
        f"At most {guidelines.most_characters[inputs.channel]} characters. The last words are: {brand.opt_out[inputs.channel]}",
        *brand.rules,
        f"Never say: {'; '.join((*brand.never, *guidelines.pressure, *guidelines.personal))}.",
    )
    return "\n".join(lines)


def _answer(inputs: UpsellInputs, guidelines: Guidelines, **fields: Any) -> str:
    empty = {"reason": None, "offer_id": None, "message": "", "approval": None}
    shown = [example.id for example in inputs.examples]
    message = UpsellMessage.model_validate({**empty, "examples": shown, "guidelines": guidelines.version, **fields})
    return canonical_json(message.model_dump(mode="json"))


TASK = WriteUpsell()

"""The task ``scorecard``: scores a call's transcript by a tenant's form, with a quote as evidence for each criterion."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.core.llm.model_call import InProcessModels
from service.core.run.task import Task
from service.core.tasks.scorecard.card import Scorecard, empty_card, make_card
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.free_texts import CardGuard
from service.core.tasks.scorecard.keywords import MODEL_ID, answer_part
from service.core.tasks.scorecard.reading import SCHEMAS, Reading, answer_schema, read_answer
from service.core.tasks.scorecard.transcript import MOST_TURNS, Turn
from service.core.tasks.scorecard.windows import ANSWER_TOKENS, OVERVIEW_TOKENS, TranscriptPart, plan
from service.core.tools.use import TracedStep
from service.core.unit.customer import TenantId
from service.core.unit.pair import OutputRules, Pair
from service.core.unit.question import Question
from service.kit.frame.errors import PairError

_EXAMPLE: dict[str, Any] = {
    "call_id": "call-0001-5f3a",
    "tenant": "demo-tenant",
    "form": {
        "form_id": "support",
        "tenant": "demo-tenant",
        "name": "Support",
        "version": 1,
        "pass_threshold": "0.7",
        "sections": [
            {
                "id": "opening",
                "title": "Opening",
                "criteria": [
                    {
                        "id": "greet_01",
                        "question": "Did the agent greet the customer politely at the start?",
                        "weight": 1,
                        "required": True,
                    }
                ],
            }
        ],
    },
    "turns": [
        {"speaker": "agent", "start_s": 0.0, "text": "Good morning, you are through to Sam, how can I help?"},
        {"speaker": "customer", "start_s": 4.2, "text": "Hi, my bill looks wrong."},
    ],
}


class ScorecardInputs(BaseModel):
    """One call of a tenant, and one version of one of the tenant's forms."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    call_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$")]
    tenant: TenantId
    form: Form
    turns: tuple[Turn, ...] = Field(max_length=MOST_TURNS)

    @model_validator(mode="after")
    def _one_tenant(self) -> "ScorecardInputs":
        if self.form.tenant != self.tenant:
            raise ValueError("the form belongs to another tenant; use a form of the call's tenant")
        return self


class ScoreCalls(Task[ScorecardInputs]):
    """Quality scoring of one call."""

    name: ClassVar[str] = "scorecard"
    input_model: ClassVar[type[BaseModel]] = ScorecardInputs
    output_model: ClassVar[type[BaseModel] | None] = Scorecard
    variables: ClassVar[frozenset[str]] = frozenset({"transcript", "criteria"})
    # No fallback: a score from matching words would be unfair to the agent. A call that no model answers goes to review.
    in_process: ClassVar[InProcessModels] = {MODEL_ID: answer_part}

    def values(self, inputs: ScorecardInputs) -> Mapping[str, str]:
        """Return the text of the whole call and of the whole form."""
        criteria = len(list(inputs.form.criteria()))
        (part,) = plan(inputs.turns, inputs.form, budget=None, answer_tokens=OVERVIEW_TOKENS + criteria * ANSWER_TOKENS)
        return _values(part)

    def questions(self, inputs: ScorecardInputs, pair: Pair) -> Sequence[Question]:
        """Return one question per window of the call and batch of criteria, within the pair's limits."""
        schema = pair.output.schema
        if schema not in SCHEMAS:
            raise PairError(
                f"pair {pair.name!r} asks for schema {schema!r}; task 'scorecard' supports {', '.join(SCHEMAS)}"
            )
        return [
            Question(
                values=_values(part),
                document=part,
                read=partial(_read, part=part, schema=schema),
                answer_schema=answer_schema(_ids(part), overview=part.overview, schema=schema),
            )
            for part in _parts(inputs, pair)
        ]

    def joined(self, inputs: ScorecardInputs, pair: Pair, answers: Sequence[str]) -> str:
        """Return the scorecard as JSON, with quotes verified, windows merged and totals computed."""
        readings = [Reading.model_validate_json(answer) for answer in answers]
        card = make_card(inputs.call_id, inputs.form, inputs.turns, _parts(inputs, pair), readings)
        return card.model_dump_json()

    def without_model(self, inputs: ScorecardInputs) -> str | None:
        """Return an empty scorecard for a call without words or without an agent, else None."""
        card = empty_card(inputs.call_id, inputs.form, inputs.turns)
        return None if card is None else card.model_dump_json()

    def unit(self, inputs: ScorecardInputs) -> str:
        """Return tenant and call: a rollout's candidate scores a share of every tenant's calls, and a call keeps its pair."""
        return f"{inputs.tenant}/{inputs.call_id}"

    def tenant(self, inputs: ScorecardInputs) -> str:
        """Return the tenant that owns the call and the form."""
        return inputs.tenant

    def guard(self, inputs: ScorecardInputs, seen: Sequence[TracedStep] = ()) -> CardGuard:
        """Return a guard that checks the free texts of an answer against the transcript."""
        return CardGuard(inputs.turns, inputs.form)

    def check(self, text: str, rules: OutputRules) -> str:
        """Return ``text``, a complete scorecard, validated; a model's answers are read per question (``questions``)."""
        return Scorecard.model_validate_json(text).model_dump_json()


def _parts(inputs: ScorecardInputs, pair: Pair) -> list[TranscriptPart]:
    return plan(
        inputs.turns,
        inputs.form,
        budget=pair.serving.max_history_tokens,
        answer_tokens=pair.sampling.max_output_tokens,
    )


def _values(part: TranscriptPart) -> dict[str, str]:
    return {"transcript": part.transcript, "criteria": part.asked}


def _ids(part: TranscriptPart) -> list[str]:
    return [criterion.id for criterion in part.criteria]


def _read(text: str, *, part: TranscriptPart, schema: str) -> str:
    # For a turn split into pieces, the first piece in this window.
    lines = {line.index: line.text for line in reversed(part.lines)}
    return read_answer(text, _ids(part), overview=part.overview, schema=schema, lines=lines).model_dump_json()


TASK = ScoreCalls()

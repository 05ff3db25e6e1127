"""What the operations of a tenant's quality of calls answer with."""

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.api.dashboards import ShownVisual, visual_of
from service.api.examples import examples
from service.core.tasks.scorecard.transcript import Speaker
from service.dashboards.calls import CallFigures, ListKind


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeldCalls(_Said):
    """What the warehouse holds of the tenant, whatever was asked; ``forms``, most calls first."""

    oldest: date | None
    newest: date | None
    calls: int
    without_form: int = Field(description="Calls whose answer by the model could not be used; they are in no figure")
    by_floor: int = Field(description="Calls that the floor scored: it looks for words, and no model read them")
    forms: list[str]
    groups: list[str]


class FormCriterion(_Said):
    """A criterion in the words of the form's newest version."""

    id: str
    question: str
    required: bool


class WeekChange(_Said):
    """A criterion whose newest week differs from the weeks before beyond chance (95% intervals that do not overlap)."""

    criterion: str
    week: str
    worse: bool
    rate: float
    n: int
    before_rate: float
    before_n: int


class QualityAnswer(_Said):
    """The tenant's figures of one form. A person's verdict takes precedence over the model's in all but the agreement."""

    model_config = ConfigDict(json_schema_extra=examples("QualityAnswer"), populate_by_name=True)

    tenant: str
    title: str
    question: str
    form_id: str | None = Field(description="Null if no call was scored by any form")
    from_day: date | None = Field(alias="from")
    to_day: date | None = Field(alias="to")
    agent_group: str | None
    simulated: bool
    held: HeldCalls
    criteria: list[FormCriterion]
    changes: list[WeekChange]
    visuals: list[ShownVisual]
    age_s: float


class FailedCallAnswer(_Said):
    """A call that fails the criterion; ``human_verdict``: a person's, null if nobody looked."""

    call_id: str
    call_date: AwareDatetime
    agent: str
    agent_group: str
    state: str
    verdict: str | None
    human_verdict: str | None


class FailureList(_Said):
    """The tenant's calls that fail a criterion, newest first, at most 200."""

    model_config = ConfigDict(json_schema_extra=examples("FailureList"))

    criterion: str
    calls: list[FailedCallAnswer]


class ListedCallAnswer(_Said):
    """A call of a list; `passed`: null without a score, `checked`: how many of its criteria have a person's verdict."""

    call_id: str
    call_date: AwareDatetime
    agent: str
    agent_group: str
    state: str
    passed: bool | None
    checked: int


class ListedCalls(_Said):
    """The tenant's calls of one kind, newest first: at most 200, of a sample 20."""

    model_config = ConfigDict(json_schema_extra=examples("ListedCalls"), populate_by_name=True)

    kind: ListKind
    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    calls: list[ListedCallAnswer]


class TranscriptTurn(_Said):
    """The words of one speaker, redacted; ``start_s`` is the position in the recording, in seconds."""

    speaker: Speaker
    start_s: float
    text: str


class TranscriptAnswer(_Said):
    """A call's redacted transcript; ``kept`` is false before the call was heard and after the transcript was deleted."""

    model_config = ConfigDict(json_schema_extra=examples("TranscriptAnswer"))

    call_id: str
    kept: bool
    turns: list[TranscriptTurn]


def quality_of(tenant: str, found: CallFigures, *, age_s: float, simulated: bool) -> QualityAnswer:
    """Return the response body for a tenant's figures."""
    said = {
        "tenant": tenant,
        "title": found.dashboard.title,
        "question": found.dashboard.question,
        "form_id": found.form_id,
        "from": found.from_day,
        "to": found.to_day,
        "agent_group": found.agent_group,
        "simulated": simulated,
        "held": found.coverage,
        "criteria": found.criteria,
        "changes": found.changes,
        "visuals": [visual_of(visual, found.rows[visual.name]) for visual in found.dashboard.visuals],
        "age_s": round(age_s, 1),
    }
    return QualityAnswer.model_validate(said, from_attributes=True)

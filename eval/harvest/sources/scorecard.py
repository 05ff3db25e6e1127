"""Harvests scorecards: a call whose verdicts a person overruled becomes a case that expects what the person said."""

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.casecheck.case import full_numbers
from eval.harvest.candidates import HarvestCandidate, slice_condition, week_bounds
from eval.harvest.case_source import CaseSource, redacted_or_refused
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Expectations
from eval.spine.errors import HarvestError, InputsUnfit
from eval.suites.scorecard.labels import Label, ScorecardExpectations
from service.calls.keys import transcript_key
from service.calls.result import CallResult
from service.calls.store.form_store import FormMissing
from service.calls.store.objects import TenantResults
from service.calls.store.overrides import CallOverrides, Override
from service.calls.worker.kept import KeptTranscript
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.arithmetic import Rating
from service.core.tasks.scorecard.form import Form
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.calls.store.form_store import FormStore
    from service.warehouse.port import Warehouse

_SLICES = {
    "tenant": "o.tenant_id",
    "form": "o.form_id",
    "criterion": "o.criterion_id",
    "queue": "c.queue",
    "pair": "c.pair",
}
_SELECT = """
SELECT o.tenant_id, o.call_id, o.criterion_id, o.model_verdict, o.human_verdict, o.pair_digest, c.source_key, c.call_date,
       c.pair, c.prompt_version, c.registry_version, c.model_used
FROM (
    SELECT tenant_id, call_id, criterion_id, form_id, model_verdict, human_verdict, pair_digest, overridden_at,
           ROW_NUMBER() OVER (PARTITION BY tenant_id, call_id, criterion_id ORDER BY overridden_at DESC) AS place
    FROM omni_call_overrides
) o
JOIN omni_calls c ON c.tenant_id = o.tenant_id AND c.call_id = o.call_id
WHERE o.place = 1 AND o.overridden_at >= :since AND o.overridden_at < :until
  AND (o.model_verdict IS NULL OR o.model_verdict <> o.human_verdict)
{slice}
ORDER BY o.tenant_id, o.call_id, o.criterion_id
"""
_CALL_CHARACTERS, _TENANT_CHARACTERS = 8, 6


class SaidVerdict(BaseModel):
    """A person's verdict on one criterion. ``quote`` and ``turn`` are the model's evidence where the person confirmed it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Rating
    agrees: bool
    reason: str
    quote: str | None = None
    turn: int | None = None


class ReviewedCall(BaseModel):
    """A stored call, as it was scored, with what people said of its verdicts on that version of the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    call: ScorecardInputs
    said: dict[str, SaidVerdict]


class ReviewedCalls:
    """Reads redacted transcripts, forms and overrides of all tenants: operator rights are needed."""

    def __init__(self, s3: Any, bucket: str, overrides: CallOverrides, forms: "FormStore") -> None:
        self._s3, self._bucket, self._overrides, self._forms = s3, bucket, overrides, forms

    def inputs(self, source_key: str, generated_at: datetime) -> ReviewedCall | None:
        """See ``Origin.inputs``; ``source_key`` is the result's, None also when the transcript or the overrides are deleted."""
        tenant, _, name = source_key.partition("/")
        call_id = name.rpartition("/")[2].removesuffix(".json")
        results = TenantResults(self._s3, self._bucket, tenant)
        text = results.read(transcript_key(tenant, call_id))
        said = self._overrides.of(tenant, call_id)
        if text is None or not said:
            return None
        newest = max(said, key=lambda item: item.at)
        form = self._form(tenant, newest)
        stored = results.read(source_key)
        try:
            turns = KeptTranscript.model_validate_json(text).turns
            result = None if stored is None else CallResult.model_validate_json(stored)
        except ValidationError as err:
            raise InputsUnfit(f"the stored call cannot be read: {err.error_count()} fields") from None
        # An override of an earlier version of the form says nothing about this one; of one criterion the newest comes last.
        on_form = [item for item in said if (item.form_id, item.form_version) == (newest.form_id, newest.form_version)]
        return ReviewedCall(
            call=ScorecardInputs(call_id=call_id, tenant=tenant, form=form, turns=turns),
            said={item.criterion: _said(item, result) for item in on_form},
        )

    def _form(self, tenant: str, said: Override) -> Form:
        try:
            return asyncio.run(self._forms.revision(tenant, said.form_id, said.form_version))
        except FormMissing as err:
            raise InputsUnfit(str(err)) from None


def _said(item: Override, result: CallResult | None) -> SaidVerdict:
    evaluation = None if result is None else result.qa_evaluation
    found = None
    if evaluation is not None and item.agrees:
        found = next((one for one in evaluation.criteria if one.id == item.criterion), None)
    proven = found is not None and found.evidence == "verified"
    return SaidVerdict(
        verdict=item.verdict,
        agrees=item.agrees,
        reason=item.reason,
        quote=found.quote if found is not None and proven else None,
        turn=found.turn if found is not None and proven else None,
    )


class ScorecardSource(CaseSource[ReviewedCall]):
    """Scorecards: a case is a redacted call with its form, and expects the verdicts that people gave, no others."""

    output: ClassVar[str] = "scorecard"
    hint: ClassVar[str] = (
        "# The verdicts that a good scorecard of this call must have; criteria that nobody checked stay out.\n"
        "# A yes needs its evidence: turn (counted from 0) and quote, copied letter by letter; why is one sentence.\n"
        "# Checked when you save and close; an empty file changes nothing.\n"
    )

    def candidates(self, warehouse: "Warehouse", task: str, week: str, part: str | None) -> list[HarvestCandidate]:
        """Return the calls with a verdict that a person overruled in the week, those with most of them first.

        ``part`` restricts them to one slice: tenant, form, criterion, queue (the group of agents) or pair.
        """
        since, until = week_bounds(week)
        condition, values = slice_condition(part, _SLICES)
        frame = warehouse.query(_SELECT.replace("{slice}", condition), {"since": since, "until": until, **values})
        by_call: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in frame.to_dict("records"):
            by_call[str(row["source_key"])].append({str(name): value for name, value in row.items()})
        found = [_candidate(key, rows) for key, rows in by_call.items()]
        return sorted(found, key=lambda item: (-item.shown.count("\n"), item.generated_at, item.request_id))

    def origin(self, settings: Settings) -> ReviewedCalls:
        """See ``CaseSource.origin``."""
        from service.calls.store.form_store import build_forms
        from service.kit.aws.clients import client
        from service.kit.aws.stores import CALLS
        from service.kit.records.build import open_rows

        dynamodb = client("dynamodb", settings)
        return ReviewedCalls(
            client("s3", settings),
            settings.calls.results_bucket,
            CallOverrides(open_rows(settings, CALLS, dynamodb)),
            build_forms(settings, dynamodb=dynamodb, now=lambda: datetime.now(UTC)),
        )

    def without_persons(self, inputs: ReviewedCall, key: bytes) -> ReviewedCall:
        """Return the call with pseudonyms of call and tenant, and the turns redacted by the rules for texts in git as well."""
        call = inputs.call

        def pseudonym(value: str, characters: int) -> str:
            return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:characters]

        tenant = f"tenant-{pseudonym(call.tenant, _TENANT_CHARACTERS)}"
        turns = tuple(turn.model_copy(update={"text": redacted_or_refused(turn.text)}) for turn in call.turns)
        left = [number for turn in turns for number in full_numbers(turn.text)]
        if left:
            raise HarvestError(f"{len(left)} full numbers are left after redaction; this candidate is not proposed")
        said = {
            name: item.model_copy(update={"reason": redacted_or_refused(item.reason)})
            for name, item in inputs.said.items()
        }
        return ReviewedCall(
            call=ScorecardInputs(
                call_id=f"call-{pseudonym(call.call_id, _CALL_CHARACTERS)}",
                tenant=tenant,
                form=call.form.model_copy(update={"tenant": tenant}),
                turns=turns,
            ),
            said=said,
        )

    def case_inputs(self, inputs: ReviewedCall) -> ScorecardInputs:
        """Return the call as the task scores it."""
        return inputs.call

    def expectations(self, correction: str | None, inputs: ReviewedCall, rules: CaseRules) -> Expectations:
        """Return a label for each verdict by a person; a confirmed yes only with its evidence, which nobody has to look up."""
        answers = {}
        for criterion in inputs.call.form.criteria():
            said = inputs.said.get(criterion.id)
            if said is None:
                continue
            label = _label(said, inputs.call)
            if label.quote is not None or label.verdict != "yes" or not said.agrees:
                answers[criterion.id] = label
        return ScorecardExpectations(answers=answers)


def _label(said: SaidVerdict, call: ScorecardInputs) -> Label:
    reason = said.reason.strip()
    why = reason if not reason or reason.endswith(".") else f"{reason}."
    if said.agrees and not why:
        why = "A person confirmed it."
    # Redaction for git may have changed the words since they were scored.
    if said.quote and said.turn is not None and said.verdict != "na" and said.quote in _text(call, said.turn):
        return Label(verdict=said.verdict, turn=said.turn, quote=said.quote, why=why)
    return Label(verdict=said.verdict, why=why)


def _text(call: ScorecardInputs, turn: int) -> str:
    return call.turns[turn].text if turn < len(call.turns) else ""


def _candidate(source_key: str, rows: Sequence[dict[str, Any]]) -> HarvestCandidate:
    first = rows[0]
    lines = [
        f"{row['criterion_id']}: {row['model_verdict'] if isinstance(row['model_verdict'], str) else 'no verdict'}; "
        f"a person said {row['human_verdict']}\n"
        for row in rows  # no verdict is None or NaN in a frame
    ]
    return HarvestCandidate(
        request_id=str(first["call_id"]),
        summary_id=str(first["call_id"]),
        source_key=source_key,
        generated_at=first["call_date"],
        pair=str(first["pair"]),
        pair_digest=str(first["pair_digest"]),
        prompt_version=str(first["prompt_version"]),
        registry_version=int(first["registry_version"]),
        answered_by=str(first["model_used"]),
        reasons=("overruled",),
        shown="".join(lines),
    )


SOURCE = ScorecardSource()

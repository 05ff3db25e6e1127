"""People's work on forms and verdicts: tries a form's revision on stored calls, and records overrides of verdicts."""

from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import cast, get_args

from service.calls.keys import transcript_key
from service.calls.result import CallResult
from service.calls.reviews import ReviewRefused
from service.calls.store.overrides import Override
from service.calls.worker.kept import KeptTranscript
from service.calls.worker.worker import CallWorker
from service.core.tasks.scorecard.arithmetic import Rating
from service.core.tasks.scorecard.form import Form
from service.kit.frame.errors import ConfigurationError
from service.warehouse.events import CallOverrideEvent
from service.warehouse.rows import to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingChange:
    """One criterion of one call whose answer changes; None: the criterion is not on that version of the form."""

    call_id: str
    criterion: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """The changes by a revision. ``passed`` counts calls by (before, after); ``unanswered``: calls without a usable answer."""

    form: Form
    calls: int
    changes: tuple[RatingChange, ...]
    moved: tuple[tuple[str, Decimal | None, Decimal | None, bool | None, bool | None], ...]
    unanswered: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the changes as lines of text."""
        lines = [
            f"form {self.form.form_id!r} version {self.form.version} on {self.calls} stored calls; nothing was changed"
        ]
        for call_id, before, after, was, now in self.moved:
            verdict = "" if was == now else f", {_said(was)} -> {_said(now)}"
            lines.append(f"{call_id}: {_percent(before)} -> {_percent(after)}{verdict}")
            lines += [
                f"  {item.criterion}: {item.before or 'not on the form'} -> {item.after or 'not on the form'}"
                for item in self.changes
                if item.call_id == call_id
            ]
        same = self.calls - len(self.moved) - len(self.unanswered)
        turned = sum(was != now for *_, was, now in self.moved)
        lines.append(
            f"{len(self.changes)} verdicts differ in {len({item.call_id for item in self.changes})} calls, {turned} calls turn "
            f"between passed and failed, {same} stay as they are, {len(self.unanswered)} unanswered"
        )
        return lines


async def find_form(worker: CallWorker, tenant: str, form_id: str, version: str) -> Form:
    """Return a version of a tenant's form: a number, ``draft`` or ``active``.

    Raises:
        ConfigurationError: the form has no draft or no active version.
        FormMissing: there is no such version.
    """
    head = await worker.forms.head(tenant, form_id)
    if version.isdigit():
        return await worker.forms.revision(tenant, form_id, int(version))
    form = {"draft": head.draft, "active": head.active}.get(version)
    if form is None:
        raise ConfigurationError(f"tenant {tenant!r} has no {version} of form {form_id!r}")
    return form


async def rescore(worker: CallWorker, form: Form, *, most: int | None = None) -> Rescored:
    """Score a tenant's stored calls of a form again with another version of it. Writes nothing."""
    results = worker.results(form.tenant)
    changes: list[RatingChange] = []
    moved = []
    unanswered: list[str] = []
    count = 0
    for job in sorted(worker.jobs.of(form.tenant), key=lambda job: job.call_date, reverse=True):
        if job.result_key is None or job.state not in ("done", "needs_review") or (most is not None and count >= most):
            continue
        stored = results.read(job.result_key)
        result = None if stored is None else CallResult.model_validate_json(stored)
        if result is None or result.qa_evaluation is None or result.qa_evaluation.form_id != form.form_id:
            continue
        text = results.read(transcript_key(form.tenant, job.call_id))
        if text is None:  # it was deleted before the result
            continue
        count += 1
        card, _, _ = await worker.scorer.card(job.call_id, form, KeptTranscript.model_validate_json(text).turns)
        if card is None:
            unanswered.append(job.call_id)
            continue
        before = {item.id: item.verdict for item in result.qa_evaluation.criteria}
        after = {item.id: item.verdict for item in card.criteria}
        found = [
            RatingChange(call_id=job.call_id, criterion=name, before=before.get(name), after=after.get(name))
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        ]
        changes += found
        was, now = result.qa_evaluation, card.score
        share, passed = (None, None) if now is None else (now.percentage, now.passed)
        if found or was.percentage != share or was.passed != passed:
            moved.append((job.call_id, was.percentage, share, was.passed, passed))
    return Rescored(form=form, calls=count, changes=tuple(changes), moved=tuple(moved), unanswered=tuple(unanswered))


def override(
    worker: CallWorker, tenant: str, call_id: str, criterion: str, verdict: str, *, who: str, reason: str = ""
) -> Override:
    """Keep a person's verdict beside the model's, replacing earlier overrides, and load it into the warehouse.

    Raises:
        ConfigurationError: there is no such call, criterion or verdict.
    """
    words = get_args(Rating)
    if verdict not in words:
        raise ConfigurationError(f"{verdict!r} is not a verdict; choose from {', '.join(words)}")
    try:
        made = worker.reviews.override(
            tenant, call_id, criterion, cast(Rating, verdict), reason=reason, who=who, edit=None
        )
    except ReviewRefused as err:
        raise ConfigurationError(str(err)) from err
    carry(worker)
    return made


def carry(worker: CallWorker) -> int:
    """Load every pending override into the warehouse; return their number. After a crash it is repeated safely."""
    waiting = worker.reviews.overrides.unloaded()
    if not waiting:
        return 0
    rows = [_row(item) for item in waiting]
    with closing(worker.open_warehouse()) as warehouse:
        warehouse.migrate()
        warehouse.merge(CallOverrideEvent, to_table(CallOverrideEvent, rows))
    for item in waiting:
        worker.reviews.overrides.loaded(item)
    return len(waiting)


def _row(said: Override) -> CallOverrideEvent:
    return CallOverrideEvent(
        tenant_id=said.tenant,
        call_id=said.call_id,
        criterion_id=said.criterion,
        overridden_at=said.at,
        form_id=said.form_id,
        form_version=said.form_version,
        model_verdict=said.model_verdict,
        human_verdict=said.verdict,
        overridden_by=said.who,
        pair_digest=said.pair_digest,
    )


def _percent(share: Decimal | None) -> str:
    return "no score" if share is None else f"{share:.1f}%"


def _said(passed: bool | None) -> str:
    return "no score" if passed is None else "passed" if passed else "failed"

"""What several test files build: values in which only what a test names matters."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from eval.spine.cases import Case, Expectations
from eval.spine.results import CaseResult, Score
from service.answers_kept.feedback import Recorded
from service.answers_kept.record import SummaryRecord
from service.calls.build import CallDesks
from service.calls.keys import CallObject, result_key
from service.calls.redact.transcript import PatternRedactor
from service.calls.result import CallResult
from service.calls.reviews import CallReviews
from service.calls.store.form_store import FormStore
from service.calls.store.overrides import OverrideTaken
from service.calls.store.pages import Page
from service.calls.store.states import CallJob, CallScore
from service.core.llm.pricing import Cost, Usage
from service.core.release.attestation import GateAttestation
from service.core.run.task import TaskResult
from service.core.unit.pair import OutputRules, Pair, Part, PromptMessage, Sampling, ServingPolicy
from service.kit.aws.bounded import StoreThreads
from service.kit.aws.stores import CONFIG
from service.kit.records.memory import RowsInMemory
from service.runtime import Runtime
from service.runtime.answering import AnsweringParts
from service.runtime.conversing import Conversing

REFERENCES = [
    "The customer disputes a late fee of forty dollars and waits for a call.",
    "Power was restored on Monday after a crew replaced the transformer.",
    "A deposit refund was promised in October and has not arrived yet.",
]
CASES = {
    f"case-{n}": Case(id=f"case-{n}", inputs={}, expectations=Expectations(references=(text,)))
    for n, text in enumerate(REFERENCES)
}


def make_pair(task="demo", name="p", version="1.0.0", system=None, asked="<history>{{history}}</history>", **changes):
    """A pair of one message; its variables are those that the message names."""
    messages = [PromptMessage(role="user", content=asked)]
    if system is not None:
        messages.insert(0, PromptMessage(role="system", content=system))
    fields = {
        "name": name,
        "task": task,
        "version": version,
        "model": "m",
        "backup": None,
        "sampling": Sampling(max_output_tokens=100),
        "output": OutputRules(schema="s", max_words=90),
        "serving": ServingPolicy(),
        "messages": tuple(messages),
        "variables": tuple(re.findall(r"{{(\w+)}}", asked)),
    }
    return Pair(**fields | changes)


def make_part(name="judge", model="j", asked="<answer>{{answer}}</answer>", **changes):
    """A part of a pair with one message; its variables are those that the message names."""
    fields = {
        "name": name,
        "model": model,
        "backup": None,
        "sampling": Sampling(max_output_tokens=10),
        "messages": (PromptMessage(role="user", content=asked),),
        "variables": tuple(re.findall(r"{{(\w+)}}", asked)),
    }
    return Part(**fields | changes)


def gate_attestation(**changes):
    """A passing gate's of 40 cases, valid from 2026-11-20 to 2026-12-20."""
    fields = {
        "pair_name": "p",
        "pair_digest": "pair" * 16,
        "task": "demo",
        "scope": "gate",
        "dataset_name": "dev",
        "dataset_digest": "data" * 16,
        "case_count": 40,
        "suite_digest": "suit" * 16,
        "judges": (),
        "code_version": "abc",
        "environment": "local",
        "answered_by": ("m",),
        "baseline_digest": None,
        "evaluation_id": "e1",
        "verdict": "pass",
        "checks": {"pass": 3, "fail": 0, "inconclusive": 0},
        "unseen": (),
        "figures_digest": "f" * 64,
        "cases_digest": "c" * 64,
        "issued_at": datetime(2026, 11, 20, tzinfo=UTC),
        "expires_at": datetime(2026, 12, 20, tzinfo=UTC),
    }
    return GateAttestation(**fields | changes)


def summary_record(**changes):
    """The record of one answer, with the fields that every version wrote."""
    fields = {
        "unique_process_id": "p",
        "request_id": "req-1",
        "account_number": "acct",
        "contact_id": "c",
        "initial_contact_id": "i",
        "ivr_intent": "billing",
        "summary": "A summary.",
        "date_range": None,
        "model_used": "nova-lite",
        "answered_by": "nova-lite",
        "arm": "primary",
        "cache_hit": False,
        "prompt_cache_read_tokens": 0,
        "latency_ms": 120,
        "generated_at": "2026-11-21T12:00:00.000Z",
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": ("ivr", "agent"),
        "prompt_version": "v1.2.0",
        "pair": "steady",
        "pair_digest": "d" * 64,
        "registry_version": 3,
        "degraded": False,
        "cost_usd": "0.0002",
        "interactions_considered": 1,
    }
    return SummaryRecord.model_validate(fields | changes)


def case_result(n, output, *, live=True, measured_in=None, ms=100.0, failure=None, scores=None, repeat=0, cost=1.0):
    """The answer to ``case-<n>``; a score of None is unscored."""
    answered = TaskResult(
        output=None if failure else output,
        arm="primary",
        model="m",
        answered_by="m",
        latency_ms=ms,
        model_ms=ms,
        usage=Usage(),
        cost=Cost(metered_usd=cost, cold_usd=2 * cost, warm_usd=cost),
        failure=failure,
    )
    values = scores or {}
    return CaseResult(
        case_id=f"case-{n}",
        arm="primary",
        repeat=repeat,
        result=answered,
        live=live,
        measured_in=measured_in,
        scores={k: Score(value=v) if v is not None else Score(value=None, unscored="x") for k, v in values.items()},
    )


_GROUPS = {
    **dict.fromkeys("cards gateway interactions tasks pair_sources rollouts shadow tools warm_up".split(), "answering"),
    **dict.fromkeys(("conversations", "handovers", "audit"), "conversing"),
    **dict.fromkeys(("calls", "forms", "rescorings", "tenants"), "calls"),
}
_FIELDS = {"conversations": "store", "calls": "reviews"}


def grouped(changes):
    """Sort flat fields of a runtime into its groups: a dict of fields by the group's name, "" for the runtime's own."""
    found = {"": {}, "answering": {}, "conversing": {}, "calls": {}}
    for name, value in changes.items():
        found[_GROUPS.get(name, "")][_FIELDS.get(name, name)] = value
    clocks = {name: changes[name] for name in ("now", "ids") if name in changes}
    found["conversing"] |= clocks
    return found


def changed(runtime, **changes):
    """A runtime like another one, with fields of it or of its groups changed."""
    parts = grouped(changes)
    groups = {name: replace(getattr(runtime, name), **fields) for name, fields in parts.items() if name and fields}
    return replace(runtime, **groups, **parts[""])


def runtime_of(**fields):
    """A runtime made of its own and its groups' fields."""
    parts = grouped(fields)
    groups = {"conversing": Conversing(**parts["conversing"]), "calls": CallDesks(**parts["calls"])}
    return Runtime(answering=AnsweringParts(**parts["answering"]), **groups, **parts[""])


class FakeFeedback:
    """A feedback store that finds ``found``, or what it returns for a target, and notes what was asked and said."""

    def __init__(self, found, *, effect="first"):
        self.found, self.effect, self.asked, self.kept = found, effect, [], []

    async def find(self, target):
        self.asked.append(target)
        return self.found(target) if callable(self.found) else self.found

    async def record(self, row, said):
        self.kept.append(said)
        return Recorded(
            feedback_id="fb-1", object_key="k", feedback_timestamp="2025-12-08T15:00:00Z", effect=self.effect
        )


def forms_in_memory():
    """The form store over a table in memory."""
    return FormStore(RowsInMemory(CONFIG), timeout_s=5, now=lambda: CALL_DATE)


CALL_DATE = datetime(2026, 11, 16, 9, tzinfo=UTC)


def call_result(job, verdicts):
    """The unified JSON of a call that was scored on criteria of weight 1; no verdicts: the model's answer was unusable."""
    criteria = [
        {
            "id": name, "section": "all", "question": f"Was {name} done?", "weight": 1, "required": False, "verdict": verdict,
            "passed": verdict == "yes", "score": 1 if verdict == "yes" else 0, "reason": "r", "quote": "good morning",
            "turn": 0, "speaker": "agent", "start_s": 0.0, "evidence": "verified",
        }
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    evaluation = {
        "form_id": "support", "qa_template_version": 1, "criteria": criteria, "total_score": 1, "max_score": 2,
        "percentage": 50.0, "passed": False, "pass_threshold": 0.7, "failed": [], "failed_required": [], "not_applicable": [],
    }  # fmt: skip
    source = {
        "object_key": job.source.key, "etag": job.source.etag, "transcribe_job": None, "transcriber": "json",
        "pii_redacted": True, "redaction": {"by": "p", "turns": 2, "found": {}, "transcriber_found": None},
        "agent_id": None, "queue": None,
    }  # fmt: skip
    scored_by = {
        "pair": "p", "pair_digest": "sha256:1", "prompt_version": "1", "registry_version": 1, "model": "m", "arm": "primary",
        "latency_ms": 1.0, "input_tokens": 1, "output_tokens": 1, "cost_usd": None,
    }  # fmt: skip
    return CallResult.model_validate(
        {
            "tenant_id": job.tenant, "call_id": job.call_id, "call_date": job.call_date, "scored_at": job.call_date,
            "needs_review": False, "review": [], "sentiment": None, "customer_tone": None, "agent_tone": None, "turns": 2,
            "duration_s": 5.0, "entities": [], "ai_summary": None, "qa_evaluation": evaluation if verdicts else None,
            "source": source, "scored_by": scored_by,
        }
    )  # fmt: skip


class FakeCalls:
    """Calls and overrides in memory, under the same rules as table and bucket; ``reviews`` is what the endpoints talk to."""

    def __init__(self, now=None):
        self.jobs, self.texts, self.said, self.carried = {}, {}, {}, set()
        self.moment = now or CALL_DATE + timedelta(days=1)
        self.reviews = CallReviews(
            jobs=self, pages=self, overrides=self, results=_FakeResults(self).of, redactor=PatternRedactor(),
            now=lambda: self.moment, threads=StoreThreads("table 'fake'", timeout_s=10),
        )  # fmt: skip

    def add(self, tenant, name, verdicts=None, *, state="done", date=CALL_DATE, **more):
        """A call; ``name`` stands for its bytes. Verdicts make it a scored one."""
        source = CallObject(tenant=tenant, key=f"{tenant}/calls/{name}", etag=name)
        job = CallJob(
            source=source, call_id=source.call_id, state=state, call_date=date, updated_at=date, attempts=0, **more
        )
        if verdicts is not None:
            job = replace(job, result_key=result_key(tenant, date, job.call_id))
            if verdicts:
                figures = {"percentage": Decimal("50.0"), "passed": False}
                job = replace(job, scored=CallScore(form_id="support", form_version=1, **figures))
            self.texts[job.result_key] = call_result(job, verdicts).to_json()
        self.jobs[tenant, job.call_id] = job
        return job.call_id

    def get(self, tenant, call_id):
        return self.jobs.get((tenant, call_id))

    def page(self, tenant, *, limit, day, state, form_id, after):
        mine = [
            job
            for (owner, _), job in self.jobs.items()
            if owner == tenant
            and (day is None or job.call_date.date() == day)
            and state in (None, job.state)
            and (form_id is None or (job.scored is not None and job.scored.form_id == form_id))
        ]
        mine.sort(key=lambda job: job.call_date, reverse=True)
        start = int(after or 0) if (after or "0").isdecimal() else 0
        more = start + limit < len(mine)
        return Page(jobs=tuple(mine[start : start + limit]), after=str(start + limit) if more else None)

    def put(self, override):
        name = (override.tenant, override.call_id, override.criterion, override.edit)
        if name in self.said:
            raise OverrideTaken("taken")
        self.said[name] = override

    def of(self, tenant, call_id):
        return [item for name, item in sorted(self.said.items()) if name[:2] == (tenant, call_id)]

    def unloaded(self):
        return [item for name, item in sorted(self.said.items()) if name not in self.carried]

    def loaded(self, override):
        self.carried.add((override.tenant, override.call_id, override.criterion, override.edit))


class _FakeResults:
    def __init__(self, calls, tenant=""):
        self.calls, self.tenant = calls, tenant

    def of(self, tenant):
        return _FakeResults(self.calls, tenant)

    def read(self, key):
        assert key.startswith(f"{self.tenant}/")
        return self.calls.texts.get(key)

"""What a reviewed call becomes: labels for what people said alone, no ids, and no case without reason and evidence."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from eval.casecheck.case import case_problems
from eval.casecheck.files import CaseLine
from eval.harvest.case_source import CaseSource
from eval.harvest.sources import load_case_source
from eval.harvest.sources.scorecard import ReviewedCall, ReviewedCalls, SaidVerdict
from eval.spine.cases import Case
from eval.spine.errors import HarvestError
from eval.suites.scorecard.case_rules import CASE_RULES
from service.calls.store.form_store import FormMissing
from service.calls.store.overrides import Override
from service.calls.worker.kept import KeptTranscript
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn

AT = datetime(2026, 11, 18, 9, tzinfo=UTC)
SOURCE = load_case_source("scorecard")
FORM = Form.model_validate(
    {
        "form_id": "support", "tenant": "acme", "name": "Support", "version": 2, "pass_threshold": 0.5,
        "sections": [{"id": "all", "title": "All", "criteria": [
            {"id": name, "question": f"Did the agent {name}?", "weight": 1} for name in ("greet", "sorry", "notice")
        ]}],
    }
)  # fmt: skip
TURNS = (
    Turn(speaker="agent", start_s=0, text="Good morning, you are through to Acme, how can I help you today?"),
    Turn(speaker="customer", start_s=4, text="My bill is wrong, call me on 555 123 4567 later."),
    Turn(speaker="agent", start_s=9, text="I am sorry to hear that, I have corrected the bill for you."),
)


def reviewed(**said):
    call = ScorecardInputs(call_id="call-0123456789abcdef01234567", tenant="acme", form=FORM, turns=TURNS)
    return ReviewedCall(call=call, said=said)


def said(verdict="no", *, agrees=False, reason="Nobody greets.", **evidence):
    return SaidVerdict(verdict=verdict, agrees=agrees, reason=reason, **evidence)


def case_of(found):
    inputs = SOURCE.case_inputs(found)
    return Case(
        id="reg-2026-w47-1",
        inputs=inputs.model_dump(mode="json"),
        expectations=SOURCE.expectations(None, found, CASE_RULES),
        slices={**CASE_RULES.observed(inputs), "reason": "overruled"},
    )


def problems(case):
    inputs = ScorecardInputs.model_validate(case.inputs)
    line = CaseLine(file="regression", line=1, case=case, inputs=inputs, rules=CASE_RULES)
    return [*SOURCE.missing(case), *(problem.text for problem in case_problems(line, None))]


@pytest.mark.acceptance("qa-04")
def test_what_nobody_checked_is_no_label():
    found = reviewed(greet=said(), sorry=said("yes", agrees=True, reason="", turn=2, quote="I am sorry to hear that"))
    case = case_of(found)
    assert {name: label.verdict for name, label in case.expectations.answers.items()} == {"greet": "no", "sorry": "yes"}
    assert problems(case) == []


def test_a_confirmed_yes_without_its_words_is_left_out():
    changed = said("yes", agrees=True, reason="", turn=2, quote="words that redaction has changed")
    assert list(case_of(reviewed(greet=said(), sorry=changed)).expectations.answers) == ["greet"]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (said(reason=""), "greet: has no reason; write one sentence"),
        (said("yes", reason="He greets"), "greet: is yes without evidence; quote the words that show it"),
        (
            said("na", reason="No greeting is due"),
            "greet: is N/A, but the form states no condition for it; answer yes or no",
        ),
    ],
)
def test_what_only_a_person_can_add_is_demanded(label, problem):
    assert problems(case_of(reviewed(greet=label))) == [problem]


def test_a_label_of_no_criterion_and_a_case_without_labels_are_refused():
    case = case_of(reviewed(greet=said()))
    strange = case.expectations.model_copy(update={"answers": {"hold": case.expectations.answers["greet"]}})
    assert problems(case.model_copy(update={"expectations": strange})) == [
        "labels hold, which the form does not have; it has greet, sorry, notice"
    ]
    (problem,) = problems(case_of(reviewed()))
    assert problem.startswith("expects nothing")


@pytest.mark.acceptance("qa-04")
def test_call_and_tenant_are_pseudonyms_and_texts_are_redacted():
    found = SOURCE.without_persons(reviewed(greet=said(reason="Mail jo@acme.com about it")), b"key")
    text = found.model_dump_json()
    assert not any(secret in text for secret in ("0123456789abcdef01234567", '"acme"', "555 123", "jo@acme.com"))
    assert found.call.tenant == found.call.form.tenant
    assert found == SOURCE.without_persons(reviewed(greet=said(reason="Mail jo@acme.com about it")), b"key")
    assert found.call.tenant != SOURCE.without_persons(reviewed(), b"other key").call.tenant


def override(criterion="greet", verdict="no", *, minutes=0, edit=1, version=2):
    return Override(
        tenant="acme", call_id="call-0123456789abcdef01234567", criterion=criterion, edit=edit, form_id="support",
        form_version=version, model_verdict="yes", verdict=verdict, reason="r", who="dana",
        at=AT + timedelta(minutes=minutes), pair_digest="d",
    )  # fmt: skip


class Stores:
    """A transcript, its overrides and its forms, in memory."""

    def __init__(self, overrides, *, gone=False):
        self._overrides = overrides
        kept = KeptTranscript(
            tenant_id="acme", call_id="call-0123456789abcdef01234567", turns=TURNS, by="t", job=None, claimed=None,
            redactor="r", found={}, agent_id=None, queue=None, form=None,
        )  # fmt: skip
        self._texts = {} if gone else {"acme/transcripts/call-0123456789abcdef01234567.json": kept.model_dump_json()}

    def of(self, tenant, call_id):
        return self._overrides

    def read(self, key):
        return self._texts.get(key)

    async def revision(self, tenant, form_id, version):
        if version != 2:
            raise FormMissing("no such version")
        return FORM

    def found(self, monkeypatch):
        monkeypatch.setattr("eval.harvest.sources.scorecard.TenantResults", lambda *_: self)
        return ReviewedCalls(None, "b", self, self).inputs("acme/2026/11/18/call-0123456789abcdef01234567.json", AT)


def test_the_newest_word_on_the_newest_version_of_the_form_counts(monkeypatch):
    heard = [
        override("notice", "yes", version=1),
        override("greet", "na", minutes=1),
        override("greet", "no", minutes=2, edit=2),
    ]
    found = Stores(heard).found(monkeypatch)
    assert {name: item.verdict for name, item in found.said.items()} == {"greet": "no"}
    assert found.call.turns == TURNS


def test_a_deleted_transcript_is_no_case(monkeypatch):
    assert Stores([override()], gone=True).found(monkeypatch) is None
    assert Stores([]).found(monkeypatch) is None


class Rows:
    """A warehouse that answers every query with the same rows."""

    def __init__(self, *rows):
        self.rows, self.asked = rows, []

    def query(self, sql, parameters):
        self.asked.append((sql, parameters))
        return pd.DataFrame(self.rows)


def row(call_id, criterion, model="yes", human="no"):
    return {
        "tenant_id": "acme", "call_id": call_id, "criterion_id": criterion, "model_verdict": model, "human_verdict": human,
        "pair_digest": "d", "source_key": f"acme/2026/11/18/{call_id}.json", "call_date": AT, "pair": "keywords",
        "prompt_version": "1.0.0", "registry_version": 1, "model_used": "m",
    }  # fmt: skip


def test_a_call_is_one_candidate_and_the_one_with_more_corrections_comes_first():
    warehouse = Rows(row("call-a", "greet"), row("call-b", "greet"), row("call-b", "sorry", None, "yes"))
    found = SOURCE.candidates(warehouse, "scorecard", "2026-W47", "queue=billing")
    assert [item.request_id for item in found] == ["call-b", "call-a"]
    assert found[0].shown == "greet: yes; a person said no\nsorry: no verdict; a person said yes\n"
    sql, parameters = warehouse.asked[0]
    assert "c.queue = :slice_value" in sql
    assert parameters["slice_value"] == "billing"


def test_a_wrong_slice_is_refused_with_those_there_are():
    with pytest.raises(HarvestError, match="write it like tenant=NAME; slices: tenant, form, criterion, queue, pair"):
        SOURCE.candidates(Rows(), "scorecard", "2026-W47", "channel=web")


def test_other_tasks_are_harvested_as_before(monkeypatch):
    asked = []
    monkeypatch.setattr("eval.harvest.case_source.find_candidates", lambda *given: asked.append(given) or [])
    summaries = load_case_source("summarize")
    assert isinstance(summaries, CaseSource)
    assert summaries.candidates(Rows(), "summarize", "2026-W47", None) == []
    assert asked[0][1:] == ("summarize", "2026-W47", None)

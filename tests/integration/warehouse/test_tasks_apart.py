"""A throw-away task's rows beside summaries in one warehouse: the harvest shows each task's alone."""

import io
import json
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from answer_rows import answer, feedback, summary
from botocore.exceptions import ClientError
from empty_warehouse import empty_warehouse
from throw_away import ThrowAway

from eval.harvest.candidates import find_candidates
from eval.harvest.kept import KeptInputs
from eval.harvest.proposal import proposals_path, write_proposals
from eval.harvest.propose import HarvestContext, propose
from eval.harvest.review import apply, review
from eval.harvest.sources import load_case_source
from eval.spine.cases import load_cases
from eval.spine.errors import HarvestError
from eval.suites import load_case_rules
from service.core.run.task import load_task
from service.core.tasks.summarize import SummarizeInputs
from service.kit.frame.display.terminal import open_console
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.warehouse.events import FeedbackEvent, SummaryEvent

AT = datetime(2026, 11, 11, 9, tzinfo=UTC)


class Bucket:
    """An archive bucket as a dict of texts by key."""

    def __init__(self, objects):
        self.objects = objects

    def get_object(self, Bucket, Key):  # noqa: N803 - boto3's names
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key].encode())}


@pytest.fixture
def settings(tmp_path, request):
    task = ThrowAway(tmp_path, getattr(request, "param", "shout"))
    yield Settings(root=tmp_path, state_dir=tmp_path / "state")
    task.remove()


def context(settings, task="shout"):
    return HarvestContext(
        task=load_task(task),
        source=load_case_source(task),
        rules=load_case_rules(task),
        folder=settings.datasets_dir / task,
        key=b"k",
    )


def shout(number, verdict, **changes):
    key = f"omni-channel/answers/shout/year=2026/month=11/day=11/hour=09/s{number}.json"
    return answer(AT + timedelta(minutes=number), verdict, task="shout", source_key=key, **changes)


def filled(path, answers, verdicts):
    warehouse = empty_warehouse(path)
    for event, made in ((SummaryEvent, answers), (FeedbackEvent, verdicts)):
        warehouse.merge(event, pa.Table.from_pylist([row.model_dump() for row in made]))
    return warehouse


def test_a_kept_answer_of_any_task_becomes_a_case(settings):
    loud, wrong, old = shout(1, "helpful"), shout(2, "not_helpful", summary_text="tell them"), shout(3, "not_helpful")
    told = feedback(wrong, comment="Call me at 555-0100-2233", edited_summary="Please tell them.", reason="incomplete")
    others = [summary(AT, "not_helpful"), summary(AT, "not_helpful")]
    verdicts = [told, *map(feedback, (old, *others))]
    with closing(filled(settings.warehouse_file, [loud, wrong, old, *others], verdicts)) as warehouse:
        candidates = find_candidates(warehouse, "shout", "2026-W46")
        assert [item.request_id for item in candidates] == [wrong.request_id, old.request_id]
        assert len(find_candidates(warehouse, "summarize", "2026-W46")) == 2
    here = context(settings)
    kept = KeptInputs(
        Bucket({wrong.source_key: '{"task": "shout", "inputs": {"text": "tell them by [number]"}}'}),
        "archive",
        here.task.input_model,
    )
    found = propose(candidates, [], kept, here, week="2026-W46", most=5)
    assert found.left_out == {"history gone": 1}
    (proposal,) = found.new
    assert proposal.case.inputs == {"text": "tell them by [number]"}
    assert proposal.case.expectations.references == ("Please tell them.",)
    assert proposal.said_reason == "incomplete"
    assert proposal.comment == "Call me at [number]"

    path = proposals_path("shout", settings)
    write_proposals(path, [proposal])
    out = io.StringIO()
    assert review(path, here, open_console(out, width=100), lambda _: "s") == {"skipped": 1}
    assert "tell them by [number]" in out.getvalue()
    assert "answer shown to the agent" in out.getvalue()
    assert "incomplete" in out.getvalue()
    write_proposals(path, [proposal.model_copy(update={"decision": "accept"})])
    assert apply(path, here) == ([proposal.id], [])
    assert [
        case.id for case in load_cases(here.folder / "regression.jsonl", input_model=here.task.input_model).cases
    ] == [proposal.id]


def test_a_case_that_expects_nothing_is_not_accepted(settings):
    wrong = shout(1, "not_helpful")
    with closing(filled(settings.warehouse_file, [wrong], [feedback(wrong)])) as warehouse:
        candidates = find_candidates(warehouse, "shout", "2026-W46")
    here = context(settings)
    kept = KeptInputs(Bucket({wrong.source_key: '{"inputs": {"text": "tell them"}}'}), "b", here.task.input_model)
    (proposal,) = propose(candidates, [], kept, here, week="2026-W46", most=5).new
    path = proposals_path("shout", settings)
    write_proposals(path, [proposal.model_copy(update={"decision": "accept"})])
    (accepted, refused) = apply(path, here)
    assert accepted == []
    assert "expects nothing, so no answer can fail" in refused[0]


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ({"inputs": {"text": "card 4111 1111 1111 1111"}}, "not redactable"),
        ({"inputs": None}, "history gone"),
        ({"inputs": {"words": "the task takes others now"}}, "inputs do not fit the task (text)"),
    ],
)
def test_inputs_that_must_not_or_cannot_be_a_case_are_left_out(settings, kept, why):
    wrong = shout(1, "not_helpful")
    with closing(filled(settings.warehouse_file, [wrong], [feedback(wrong)])) as warehouse:
        candidates = find_candidates(warehouse, "shout", "2026-W46")
    here = context(settings)
    origin = KeptInputs(Bucket({wrong.source_key: json.dumps(kept)}), "b", here.task.input_model)
    found = propose(candidates, [], origin, here, week="2026-W46", most=5)
    assert (found.new, found.left_out) == ([], {why: 1})


def test_a_task_without_a_source_and_an_unknown_task_are_named():
    with pytest.raises(
        HarvestError, match=r"task 'assistant' cannot be harvested yet; write eval/harvest/sources/assistant"
    ):
        load_case_source("assistant")
    with pytest.raises(ConfigurationError, match="no task 'nosuch'; tasks: assistant, route, scorecard, summarize"):
        load_task("nosuch")
    assert load_case_source("summarize").output == "summary"
    assert load_task("summarize").input_model is SummarizeInputs


@pytest.mark.parametrize("settings", ["parcels"], indirect=True)
def test_a_turn_of_a_conversation_becomes_a_customer_with_a_script(settings, tmp_path, monkeypatch):
    key = "omni-channel/answers/parcels/year=2026/month=11/day=11/hour=09/p.json"
    wrong = answer(AT, "not_helpful", task="parcels", conversation="talk-1", source_key=key)
    told = feedback(wrong, edited_summary="It comes on December 4.")
    with closing(filled(settings.warehouse_file, [wrong], [told])) as warehouse:
        candidates = find_candidates(warehouse, "parcels", "2026-W46")
    turn = {
        "conversation_id": "c-0a1b",
        "message": "It is GB100003.",
        "history": [
            {"by": "customer", "text": "Where is my parcel?"},
            {"by": "assistant", "text": "What is its number?"},
        ],
    }
    here = context(settings, "parcels")
    origin = KeptInputs(Bucket({key: json.dumps({"inputs": turn})}), "archive", here.task.input_model)
    (proposal,) = propose(candidates, [], origin, here, week="2026-W46", most=5).new
    customer = proposal.case.inputs["customer"]
    assert customer["opens"] == ["Where is my parcel?"]
    assert customer["knows"]["message_2"]["says"] == ["It is GB100003."]
    assert [turn[0].say for turn in proposal.case.expectations.gold] == [
        "What is its number?",
        "It comes on December 4.",
    ]

    path = proposals_path("parcels", settings)
    write_proposals(path, [proposal])
    assert here.proposals(path) == [proposal]
    written = {
        "inputs": proposal.case.inputs | {"customer": customer | {"goal": "learn when it comes"}},
        "expectations": {
            "told": [{"statement": "when it comes", "accepted": ["December + 4"]}],
            "gold": [
                [{"say": "What is its number?", "action": "clarify", "asks": ["number"]}],
                [{"say": "On December 4."}],
            ],
        },
    }
    script = tmp_path / "editor.py"
    script.write_text(
        f"import sys, pathlib\npathlib.Path(sys.argv[1]).write_text({json.dumps(written)!r})\n", encoding="utf-8"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    keys = iter("aea")
    out = io.StringIO()
    assert review(path, here, open_console(out, width=100), lambda _: next(keys)) == {"accepted": 1}, out.getvalue()
    assert "still says 'TO BE WRITTEN'" in out.getvalue()
    assert "expects nothing of the conversation" in out.getvalue()
    (case,) = load_cases(
        here.folder / "regression.jsonl", input_model=here.case_model, expectations=here.rules.expectations
    ).cases
    assert case.inputs["customer"]["goal"] == "learn when it comes"

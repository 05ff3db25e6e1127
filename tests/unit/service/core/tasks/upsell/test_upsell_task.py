"""A message that sells: who gets none, how often a draft is written again, and who let it leave."""

import json
from datetime import date

import pytest
from pydantic import ValidationError

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import TaskContext
from service.core.tasks.upsell import TASK
from service.core.tasks.upsell.customer import UpsellInputs
from service.core.tasks.upsell.guidelines import guidelines_of, read_guidelines
from service.core.tasks.upsell.message import UpsellMessage, family_of
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import FailureCode, PairError, UpstreamUnavailable
from service.kit.settings import REPO_ROOT

CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
EXAMPLE = UpsellInputs.model_config["json_schema_extra"]["examples"][0]
GOOD = "Hello Dana, Boiler Care is £14 a month. It includes one boiler service a year. Homewell. Reply STOP to opt out."
HURRIED = GOOD.replace("It includes", "Act now. It includes")


def pair(name="nova-lite"):
    path = REPO_ROOT / "prompts" / "upsell" / f"{name}.prompty"
    return load_pair(path, cards=CARDS, task_variables=TASK.variables, part_variables=TASK.part_variables)


def customer(**changes):
    return UpsellInputs.model_validate({**EXAMPLE, **changes})


def draft(message=GOOD, **changes):
    return {"send": True, "reason": "", "offer_id": "boiler-care", "message": message, **changes}


class Models:
    """Writes the given drafts and gives the given grades, one after the other."""

    def __init__(self, drafts=(), grades=()):
        self.left = {"": list(drafts), "judge": list(grades)}
        self.calls = []

    async def complete(self, call):
        self.calls.append(call)
        answer = self.left[call.part].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return ModelReply(
            text=answer if isinstance(answer, str) else json.dumps(answer),
            usage=Usage(input_tokens=10, output_tokens=5),
            stop_reason="end_turn",
            latency_ms=1.0,
            answered_by=call.model,
        )


async def run(models, inputs=None, name="nova-lite"):
    context = TaskContext(pair=pair(name), gateway=models, cards=CARDS, chain="primary")
    return await TASK.run(inputs or customer(), context)


async def answered(models, inputs=None, name="nova-lite"):
    result = await run(models, inputs, name)
    assert result.failure is None, result.failure_message
    return UpsellMessage.model_validate_json(result.output)


async def test_a_draft_that_code_and_judge_have_nothing_against_leaves():
    found = await answered(Models([draft()], [{"score": 8, "reasons": []}]))
    assert (found.decision, found.message, found.offer_id) == ("send", GOOD, "boiler-care")
    assert found.approval.model_dump() == {
        "by": "mistral.mistral-7b-instruct-v0:2", "own_family": False, "score": 8, "reasons": (), "kinds": (), "drafts": 1,
    }  # fmt: skip


@pytest.mark.acceptance("message-01")
async def test_it_is_written_again_with_the_reasons_of_code_and_of_the_judge():
    models = Models(
        [draft(HURRIED), draft(), draft()],
        [{"score": 5, "reasons": ["Say that she can cancel."]}, {"score": 9, "reasons": []}],
    )
    found = await answered(models)
    assert (found.decision, found.approval.drafts) == ("send", 3)
    # The judge is not asked about what code refuses.
    assert [call.part for call in models.calls] == ["", "", "judge", "", "judge"]
    told = [turn.content for turn in models.calls[3].turns]
    assert "Leave out 'act now': no message hurries a customer." in told[1]
    assert told[3].endswith("- Say that she can cancel.")
    assert [turn.role for turn in models.calls[3].turns] == ["assistant", "user"] * 2


async def test_after_three_drafts_nothing_leaves():
    refused = {"score": 6, "reasons": ["Too cold."]}
    models = Models([draft()] * 3, [refused] * 3)
    found = await answered(models)
    assert (found.decision, found.message, found.approval.reasons) == ("not_approved", "", ("Too cold.",))
    assert (found.approval.drafts, len(models.calls), found.approval.kinds) == (3, 6, ("judge",))


async def test_the_kinds_of_what_code_refused_are_told_for_counting():
    found = await answered(Models([draft(HURRIED)] * 3, []))
    assert (found.decision, found.approval.score, found.approval.kinds) == ("not_approved", None, ("pressure",))


async def test_a_judge_that_refuses_without_a_reason_still_refuses():
    found = await answered(Models([draft()] * 3, [{"score": 2, "reasons": []}] * 3))
    assert (found.decision, found.approval.reasons) == ("not_approved", ("The judge gave no reason.",))


@pytest.mark.parametrize("grade", [UpstreamUnavailable("down"), "fine by me", {"score": 11, "reasons": []}])
async def test_without_a_grade_there_is_no_message(grade):
    result = await run(Models([draft()], [grade]))
    assert result.output is None
    assert result.failure in (FailureCode.OUTPUT_INVALID, FailureCode.UPSTREAM_UNAVAILABLE)


async def test_a_model_may_say_that_this_is_no_moment():
    found = await answered(Models([draft("", send=False, reason="vulnerable", offer_id="")]))
    assert (found.decision, found.reason, found.approval) == ("suppressed", "vulnerable", None)


@pytest.mark.parametrize(
    "wrong",
    [draft(send=False), draft(""), draft(offer_id=""), draft(reason="bored"), "Hello Dana!"],
)
async def test_a_draft_that_is_neither_message_nor_reason_is_no_answer(wrong):
    result = await run(Models([wrong]))
    assert (result.output, result.failure) == (None, FailureCode.OUTPUT_INVALID)


DAY = "2026-11-20"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"consent": {"marketing": False, "channels": ["sms"]}}, "no_consent"),
        ({"consent": {"marketing": True, "channels": ["email"]}}, "no_consent"),
        ({"vulnerable": True}, "vulnerable"),
        ({"complaints": [{"made": "2025-01-01", "open": True}]}, "complaint"),
        ({"complaints": [{"made": "2026-10-01", "open": False}]}, "complaint"),
        ({"contacted": "2026-11-15"}, "contacted_recently"),
        ({"offers": []}, "no_offer"),
        ({"owns": ["boiler-care"]}, "no_offer"),
        ({"home": {"kind": "flat"}, "offers": [EXAMPLE["offers"][0] | {"requires": ["house"]}]}, "no_offer"),
        ({"offers": [EXAMPLE["offers"][0] | {"until": "2026-11-19"}]}, "no_offer"),
        ({"visits": [{"on": DAY, "service": "visit", "note": "Please stop sending me offers."}]}, "asked_for_none"),
        ({"visits": [{"on": DAY, "service": "visit", "note": "wants to unsubscribe"}]}, "asked_for_none"),
    ],
)
@pytest.mark.acceptance("message-02")
async def test_code_decides_who_is_sold_nothing_before_a_model_is_asked(changes, reason):
    models = Models()
    found = await answered(models, customer(**changes))
    assert (found.decision, found.reason, models.calls) == ("suppressed", reason, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"complaints": [{"made": "2026-09-01", "open": False}]},
        {"contacted": "2026-11-06"},
        {
            "visits": [
                {"on": DAY, "service": "visit", "note": "No problem with the offer of tea, he said. Not bad at all."}
            ]
        },
        {"offers": [EXAMPLE["offers"][0] | {"until": DAY}]},
    ],
)
async def test_who_may_be_sold_something_is(changes):
    assert (await answered(Models([draft()], [{"score": 9, "reasons": []}]), customer(**changes))).decision == "send"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examples": [{"id": "m1", "tenant": "fernside", "message": "Hello", "outcome": "bought"}]}, "another tenant"),
        ({"contacted": "2026-11-21"}, "after as_of"),
        ({"offers": EXAMPLE["offers"] * 2}, "one id"),
        ({"features": {"total_services": 1, "services_last_year": 1, "average_satisfaction": float("nan")}}, "finite"),
        ({"features": {"total_services": 1, "services_last_year": 1, "lifetime_value": float("inf")}}, "finite"),
    ],
)
@pytest.mark.acceptance("message-05")
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        customer(**changes)


async def test_a_tenant_without_a_brand_in_the_guidelines_gets_no_message():
    models = Models()
    found = await answered(models, customer(tenant="unknown"))
    assert (found.decision, found.reason, models.calls) == ("suppressed", "no_guidelines", [])
    with pytest.raises(PairError, match="no brand for tenant 'unknown'; they have demo-tenant, hearthline"):
        guidelines_of().brand("unknown")


@pytest.mark.acceptance("message-04")
def test_guidelines_that_contradict_themselves_are_refused():
    text = (REPO_ROOT / "service/core/tasks/upsell/guidelines.yaml").read_text(encoding="utf-8")
    with pytest.raises(PairError, match="cannot be read: not YAML"):
        read_guidelines(text.replace("never: [", "never: [[", 1).encode())
    with pytest.raises(PairError, match="brand 'hearthline' must say 'stop' in its opt-out"):
        read_guidelines(text.replace("never: [cheap, dirt cheap", "never: [stop, cheap, dirt cheap").encode())
    with pytest.raises(PairError, match="the guidelines, at approve_at"):
        read_guidelines(text.replace("approve_at: 7", "approve_at: 70").encode())
    with pytest.raises(PairError, match="cannot be read"):
        read_guidelines(b"\xff")


def test_the_prompt_shows_what_is_known_and_no_empty_field():
    values = TASK.values_for(customer(), pair())
    assert json.loads(values["customer"])["first_name"] == "Dana"
    assert "customer_id" not in values["customer"]
    assert json.loads(values["offers"]) == EXAMPLE["offers"]
    assert values["examples"] == "None."
    assert "At most 306 characters. The last words are: Reply STOP to opt out." in values["brand"]


def test_the_floor_sells_nothing_where_there_is_a_note_that_it_cannot_read():
    visits = [{"on": DAY, "service": "visit"}, {"on": DAY, "service": "visit", "note": "All fine."}]
    text = TASK.in_process["local.upsell-templates-v1"](TASK.document_for(customer(visits=visits), pair("templates")))
    assert (json.loads(text)["send"], json.loads(text)["reason"]) == (False, "note_unread")


def test_the_floor_keeps_to_each_channels_length():
    for channel, most in guidelines_of().most_characters.items():
        inputs = customer(channel=channel, consent={"marketing": True, "channels": [channel]})
        text = TASK.in_process["local.upsell-templates-v1"](TASK.document_for(inputs, pair("templates")))
        assert len(json.loads(text)["message"]) <= most


def test_what_is_kept_of_a_customer_names_nobody():
    inputs = customer(examples=[{"id": "m1", "tenant": "demo-tenant", "message": "Hello Maria", "outcome": "bought"}])
    kept = TASK.without_ids(inputs, lambda value: f"<{len(value)}>")
    assert (kept.customer_id, kept.first_name, kept.examples) == ("<6>", "<4>", ())
    assert [visit.note for visit in kept.visits] == [""]
    assert kept.as_of == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova"),
        ("us.amazon.nova-pro-v1:0", "amazon.nova"),
        ("openai/gpt-4.1-mini", "gpt"),
        ("anthropic/claude-haiku-4-5", "claude"),
        ("mistral.mistral-7b-instruct-v0:2", "mistral.mistral"),
    ],
)
def test_a_family_of_models_is_told_from_its_ids(model, family):
    assert family_of(model) == family

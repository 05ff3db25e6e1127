"""What the free texts of a scorecard must not hold, and what they may say of a call."""

import json
from typing import Any

import pytest

from service.core.run.task import TaskContext
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.kit.frame.errors import FailureCode
from tests.unit.service.core.tasks.scorecard.test_task import CARDS, GOOD, Says, a_pair, inputs

FAULTS = [
    ("summary", "The card is 4111 1111 1111 1111 and the PIN is 4821."),
    ("summary", "The customer is an idiot who cannot read a bill."),
    ("summary", "Der Kunde hat eine Rechnung bekommen, die nicht stimmt."),
    ("summary", "The bill was too high. Der Kunde ist nicht mit der Rechnung zufrieden."),
    ("outcome", "The customer can pay at https://brindle-refunds.example/pay at any time."),
    ("outcome", "Questions go to +44 20 7946 0958 or refunds@brindle.example."),
    ("action_items", "Refund the customer in full"),
    ("reason", "The agent never asks. Waive the reconnection fee of $500."),
]
HONEST = [
    ("summary", "The customer's bill was twice what it was; the agent was sorry and promised a corrected one."),
    ("outcome", "A corrected bill follows by Friday."),
    ("action_items", "Send a corrected bill by Friday"),
    ("reason", 'The agent says "I am sorry to hear that", which is empathy.'),
    ("reason", "No plan was agreed, so nothing had to be repeated."),
]


def answer(field: str, text: str) -> dict[str, Any]:
    if field == "reason":
        return GOOD | {"answers": GOOD["answers"] | {"greet": GOOD["answers"]["greet"] | {"reason": text}}}
    return GOOD | {"overview": GOOD["overview"] | {field: [text] if field == "action_items" else text}}


async def card_of(*answers: Any, chain: Any = "primary") -> Any:
    return await TASK.run(inputs(), TaskContext(pair=a_pair(), gateway=Says(*answers), cards=CARDS, chain=chain))


@pytest.mark.parametrize(("field", "text"), FAULTS)
async def test_a_fault_in_a_free_text_is_found_in_the_card_and_refused_when_serving(field: str, text: str) -> None:
    made = await card_of(answer(field, text))
    assert TASK.guard(inputs())(made.output)
    refused = await card_of(answer(field, text), chain="serve")
    assert (refused.failure, refused.output) == (FailureCode.OUTPUT_INVALID, None)
    mended = await card_of(answer(field, text), GOOD, chain="serve")
    assert (mended.repaired, text in mended.output) == (True, False)


@pytest.mark.parametrize(("field", "text"), HONEST)
async def test_an_honest_text_passes(field: str, text: str) -> None:
    made = await card_of(answer(field, text), chain="serve")
    assert made.guarded == ()
    assert TASK.guard(inputs())(made.output) == ()


def test_a_call_may_be_told_in_its_own_language_and_its_speakers_words_may_be_quoted() -> None:
    german = {"speaker": "customer", "start_s": 20, "text": "Ich habe die Rechnung nicht bekommen und sie ist zu hoch."}
    rude = {"speaker": "customer", "start_s": 30, "text": "You are all idiots, you crooks."}
    given: ScorecardInputs = inputs(turns=[{"speaker": "agent", "start_s": 0, "text": "Hello there."}, german, rude])
    said = GOOD | {
        "overview": GOOD["overview"] | {"summary": german["text"], "outcome": rude["text"], "action_items": []}
    }
    assert TASK.guard(given)(json.dumps(said)) == ()


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("The agent [agent] called [name] back.", []),
        ("The agent [AGENT] called [name] back.", []),
        ("The agent told [account] what to do.", ["template leftover"]),
        ("The agent [agent] called [name] back at [insert time].", ["template leftover"]),
    ],
)
def test_a_tag_of_the_calls_redaction_may_be_told_and_no_other_one(text: str, kinds: list[str]) -> None:
    call = inputs()
    said = call.turns[0].model_copy(update={"text": "Hello [name], this is [agent] about the bill."})
    redacted = call.model_copy(update={"turns": (said, *call.turns[1:])})
    card = {"summary": text, "criteria": []}
    assert [found.kind for found in TASK.guard(redacted)(json.dumps(card))] == kinds

"""A model that plays a customer keeps to the parts of the script that are fixed."""

from types import SimpleNamespace

from eval.dialogue.model_customer import ModelCustomer, customer_pair
from eval.dialogue.scenario import CustomerScript, Interruption
from service.core.run.dialogue.turn import DialogueReply


async def test_a_model_interrupts_where_its_script_says():
    asked = []

    async def ask(call):
        asked.append(call.document["said"])
        return SimpleNamespace(text="Yes, and when?")

    script = CustomerScript(
        goal="learn the fee", opens=("What is the fee?",), interrupts=Interruption(at=2, says=("And are you open?",))
    )
    customer = ModelCustomer(script=script, pair=customer_pair("m"), ask=ask)
    reply = DialogueReply(reply="Shall I look?", action="clarify", asks=("confirmation",))
    said = [await customer.next(each) for each in (None, reply)]
    assert (said, customer.confirms, asked) == (["What is the fee?", "And are you open?"], False, [])
    assert await customer.next(reply) == "Yes, and when?"
    assert customer.confirms
    assert "Customer: And are you open?" in asked[0]

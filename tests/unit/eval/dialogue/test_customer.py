"""The scripted customer: what they say to what they are asked."""

import asyncio

import pytest

from eval.dialogue.customer import Over, ScriptedCustomer
from eval.dialogue.model_customer import ModelCustomer, customer_pair
from eval.dialogue.scenario import CustomerScript
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.dialogue.turn import DialogueReply, HandoverNote
from service.kit.frame.errors import UpstreamUnavailable

KNOWS = {
    "number": {"says": ["It is A1."], "asked_by": ["number"], "value": "A1"},
    "address": {"says": ["12 Oak Street."], "asked_by": ["address", "where + to"], "value": "12 Oak Street"},
}


def customer(repeat=0, **script):
    given = {"goal": "get it", "opens": ["Hello.", "Hi.", "Good day.", "Morning."], "knows": KNOWS}
    return ScriptedCustomer(CustomerScript.model_validate(given | script), "case", repeat)


def asks(*names, text="Tell me."):
    return DialogueReply(reply=text, action="clarify", asks=names)


def says(text, action="answer"):
    note = HandoverNote(reason="asked", context="A1") if action == "handover" else None
    return DialogueReply(reply=text, action=action, handover=note)


def test_a_customer_is_the_same_for_each_case_and_repeat_and_differs_between_repeats():
    openings = [customer(repeat).opening() for repeat in range(20)]
    assert openings == [customer(repeat).opening() for repeat in range(20)]
    assert len(set(openings)) > 1


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (asks("number"), "It is A1."),
        (asks("number", "address"), "It is A1. 12 Oak Street."),
        (asks(text="What is the number?"), "It is A1."),  # it does not say what it asks, and its words do
        (asks("parcel_id", text="What is the number?"), "It is A1."),  # a name of its own, and its words are plain
        (asks("Number", text="Tell me."), "It is A1."),
        (asks("number", "parcel_id", text="What is the number?"), "It is A1."),
        (asks("parcel_id", "address", text="What is the number, and the address?"), "12 Oak Street. It is A1."),
        (asks("confirmation"), "Yes, please."),
    ],
)
def test_a_customer_says_what_they_are_asked_for(reply, answer):
    asked = customer()
    asked.opening()
    said = asked.hears(reply)
    assert said == answer or (reply.asks == ("confirmation",) and said.startswith(("Yes", "That is correct")))


@pytest.mark.parametrize("names", [(), ("confirm",), ("confirmation",)])
@pytest.mark.parametrize(
    "text",
    [
        "Shall I send number A1 to that address?",
        "To confirm: should I send number A1 to that address?",
        "Thanks. So, would you like me to send it to that address?",
        "I found number A1. Is that correct?",
    ],
)
def test_a_question_for_a_yes_gets_a_yes_although_it_names_facts(names, text):
    asked = customer()
    asked.opening()
    assert asked.hears(asks(*names, text=text)).startswith(("Yes", "That is correct"))
    assert asked.confirms


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Where shall I send it to?", "12 Oak Street."),
        ("May I have the number?", "It is A1."),
        ("Which address would you like me to use?", "12 Oak Street."),
    ],
)
def test_a_question_for_a_fact_is_none_for_a_yes(text, answer):
    asked = customer()
    asked.opening()
    assert asked.hears(asks(text=text)) == answer


def test_a_customer_who_is_asked_for_what_they_do_not_know_says_so():
    asked = customer()
    asked.opening()
    said = asked.hears(asks("password", text="What is your password?"))
    assert said in ("I don't know that.", "I'm afraid I don't have that.", "No idea, sorry.")


@pytest.mark.parametrize(
    "reply",
    [asks(text="Hm?"), asks("address", text="What is the number?")],  # the second contradicts itself
)
def test_a_customer_who_does_not_understand_asks_back_once_and_then_the_run_is_unscored(reply):
    lost = customer()
    lost.opening()
    assert lost.hears(reply).endswith("?")
    assert lost.unscored == ""
    assert lost.hears(reply) == Over("not understood")
    assert lost.unscored


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        (says("Here it is."), "answered"),
        (says("Bye.", "close"), "closed"),
        (says("A colleague.", "handover"), "handover"),
    ],
)
def test_a_conversation_ends_with_an_answer_or_a_person(reply, ending):
    done = customer()
    done.opening()
    assert done.hears(reply) == Over(ending)


def test_patience_ends():
    tired = customer(patience=2)
    tired.opening()
    assert isinstance(tired.hears(asks("number")), str)
    assert tired.hears(asks("number")) == Over("patience")


@pytest.mark.parametrize(
    ("action", "ending"),
    [("answer", "answered"), ("close", "closed"), ("handover", "handover"), ("clarify", "patience")],
)
def test_the_reply_to_the_last_message_that_patience_allows_still_counts(action, ending):
    tired = customer(patience=1)
    tired.opening()
    assert tired.hears(says("There it is.", action)) == Over(ending)


def test_a_customer_without_patience_for_a_second_request_leaves_before_it():
    tired = customer(patience=1, then=["And the address?"])
    tired.opening()
    assert tired.hears(says("It comes today.")) == Over("patience")


def test_a_second_request_follows_the_first_answer():
    busy = customer(then=["And the address?"])
    busy.opening()
    assert busy.hears(says("It comes today.")) == "And the address?"
    assert busy.hears(says("12 Oak Street.")) == Over("answered")


def test_a_correction_follows_the_fact_and_replaces_it():
    wavering = customer(
        corrects={"fact": "number", "says": ["No, B2."], "then": {"says": ["B2."], "asked_by": ["number"]}}
    )
    wavering.opening()
    assert wavering.hears(asks("number")) == "It is A1."
    assert wavering.hears(asks("address")) == "No, B2."
    assert wavering.hears(asks("number")) == "B2."


def test_an_interruption_comes_at_its_message_and_does_not_swallow_a_correction():
    hasty = customer(
        interrupts={"at": 3, "says": ["Are you a robot?"]},
        corrects={"fact": "number", "says": ["No, B2."], "then": {"says": ["B2."]}},
    )
    hasty.opening()
    assert hasty.hears(asks("number")) == "It is A1."
    assert hasty.hears(says("Yes.")) == "Are you a robot?"
    assert hasty.hears(asks("number")) == "No, B2."


def test_a_script_that_names_an_unknown_fact_is_refused():
    with pytest.raises(ValueError, match="colour: not among what the customer knows"):
        customer(volunteers=["colour"])


def test_what_is_volunteered_stands_in_the_opening():
    assert customer(volunteers=["number"]).opening().endswith("It is A1.")


def test_a_model_plays_the_script_and_its_failure_leaves_the_conversation_unscored():
    asked = []

    async def ask(call):
        asked.append(call)
        if len(asked) == 3:
            raise UpstreamUnavailable("down")
        usage = Usage(input_tokens=1, output_tokens=1)
        text = "Customer: Yes, send it to 12 Oak Street."
        return ModelReply(text=text, usage=usage, stop_reason="end_turn", latency_ms=1, answered_by="m")

    async def play():
        script = CustomerScript.model_validate(
            {"goal": "get it", "opens": ["Hello."], "knows": KNOWS, "refuses": False}
        )
        played = ModelCustomer(script, customer_pair("m"), ask)
        said = [await played.next(None), await played.next(asks("confirmation", text="Shall I?")), played.confirms]
        said += [await played.next(asks("number")), played.confirms, await played.next(asks("number"))]
        return said, played.unscored

    said, unscored = asyncio.run(play())
    assert said[:3] == ["Hello.", "Yes, send it to 12 Oak Street.", True]
    assert said[3:] == ["Yes, send it to 12 Oak Street.", False, Over("not understood")]
    assert "failed: " in unscored
    shown = asked[0].messages[-1].content
    assert "What you want: get it." in shown
    assert "Assistant: Shall I?" in shown


@pytest.mark.parametrize(
    "text",
    [
        "Your parcel comes today. Is there anything else I can help you with?",
        "It is done. Can I do something else for you?",
        "Do you need any further help?",
    ],
)
def test_a_customer_who_is_asked_for_more_wants_has_what_they_came_for(text):
    done = customer(then=["And the address?"])
    done.opening()
    assert done.hears(asks(text=text)) == "And the address?"
    assert done.hears(asks(text=text)) == Over("answered")
    assert done.unscored == ""


def test_a_question_that_names_what_it_asks_is_answered_whatever_else_it_offers():
    asked = customer()
    asked.opening()
    assert asked.hears(asks("number", text="The number? And is there anything else?")) == "It is A1."
    assert asked.hears(asks(text="What is the number? Is there anything else?")) == "It is A1."


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (asks("number", text="Bitte nennen Sie mir Ihre Paketnummer."), "It is A1."),  # not English: the field decides
        (asks("number", text="您的包裹号码是多少?"), "It is A1."),
        (asks(text="**What is the number?** \U0001f4e6"), "It is A1."),
        (asks(text='She asked: "What is the number?"'), "It is A1."),
        (asks(text="What is the number\uff1f"), "It is A1."),  # a question mark of full width
        (asks("number", text="- What is the number?\n- Where to?"), "It is A1. 12 Oak Street."),
        (asks("number", text="I\u2019ll need the number."), "It is A1."),
        (asks("number", text="I am sorry, " + "and it is so long, " * 207 + "the number?"), "It is A1."),
    ],
)
def test_a_question_is_heard_in_any_dress(reply, answer):
    asked = customer()
    asked.opening()
    assert asked.hears(reply) == answer


@pytest.mark.parametrize(
    "text", ["**Shall I redirect it?**", "1. Shall I redirect it?", "Redirect it to Oak Street? (ok?)"]
)
def test_a_proposal_in_words_is_confirmed(text):
    asked = customer()
    asked.opening()
    asked.hears(asks(text=text))
    assert asked.confirms


def test_a_yes_is_over_once_the_customer_corrects_themselves_or_wants_something_else():
    script = {
        "corrects": {"fact": "number", "says": ["No, B2."], "then": {"says": ["B2."]}},
        "then": ["And the address?"],
    }
    changing = customer(**script)
    changing.opening()
    heard = [changing.hears(reply) for reply in (asks("number"), asks("confirmation"))]
    assert (heard[-1], changing.confirms, changing.reopens) == ("No, B2.", False, True)
    changing.hears(asks("confirmation"))
    assert (changing.confirms, changing.reopens) == (True, False)
    changing.hears(says("It is done."))
    assert (changing.confirms, changing.reopens) == (False, True)

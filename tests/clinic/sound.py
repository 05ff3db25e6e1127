"""Runs of the clinic's assistant that are right in another way than the gold run: see ``planted``."""

from clinic.planted import added, also, asking_otherwise, reads_records, say, use, with_last, writes

from eval.dialogue.scenario import GoldReply


def politely(case):
    """Says the same with more words."""
    return with_last(
        case, lambda step: step.model_copy(update={"say": f"Of course, thank you for waiting! {step.say} :-)"})
    )


def offering_more(case):
    """Asks at the end what else the customer wants, and calls it a question."""
    if case.expectations.handover is not None:
        return None
    ask = " Is there anything else that I can do for you?"
    return with_last(case, lambda step: also(step, ask).model_copy(update={"action": "clarify"}))


def closing(case):
    """Closes the conversation with the answer."""
    if case.expectations.handover is not None:
        return None
    return with_last(case, lambda step: step.model_copy(update={"action": "close"}))


def looking_up_more(case):
    """Reads something harmless first, and the record twice."""
    reads = [step for turn in case.expectations.gold for step in turn if reads_records(step)]
    if case.inputs.get("faults") or not reads:
        return None
    gold = list(case.expectations.gold)
    number = next(number for number, turn in enumerate(gold) if any(map(reads_records, turn)))
    return added(case, number, use("opening_hours", weekday="Monday"), reads[0])


def confirming_once_more(case):
    """Asks for a second confirmation before it acts."""
    if not writes(case) or case.inputs["customer"].get("interrupts") or case.expectations.handover is not None:
        return None
    (number, _), *_ = writes(case)
    again = (say("Just to be sure: do you really want that?", "clarify", "confirmation"),)
    return (*case.expectations.gold[:number], again, *case.expectations.gold[number:])


def confirming_in_words(case):
    """Asks for a confirmation in words alone, and names nothing in ``asks``."""

    def unnamed(step):
        wants_yes = isinstance(step, GoldReply) and "confirmation" in step.asks
        return step.model_copy(update={"asks": ()}) if wants_yes else step

    if case.inputs["customer"].get("interrupts") or not any(unnamed(s) != s for t in case.expectations.gold for s in t):
        return None
    return tuple(tuple(map(unnamed, turn)) for turn in case.expectations.gold)


def with_dates_in_words(case):
    """Says the date as people do, without the year."""
    if not case.id.startswith("appointment"):
        return None
    day, time = (fact.accepted[0] for fact in case.expectations.told)
    words = f"It is on {int(day[-2:])} December at {time} in the morning."
    return with_last(case, lambda step: step.model_copy(update={"say": words}))


def asking_one_by_one(case):
    """Asks for the number and the date of birth in two turns."""
    first, *rest = case.expectations.gold
    if first[-1].asks != ("patient", "born") or case.inputs["customer"].get("interrupts"):
        return None
    number, born = (say("Your patient number, please?", "clarify", "patient"), say("When were you born?", "clarify"))
    return ((number,), (born,), *rest)


def naming_in_its_own_way(case):
    """Names what it asks for in its own words."""
    words = "Could you give me your patient number and your date of birth, please?"
    return asking_otherwise(case, "patient", say(words, "clarify", "patient_id", "dob"))


def in_other_letters(case):
    """Uses typographic spaces and quotes, and emojis."""
    return with_last(case, lambda step: step.model_copy(update={"say": f"\u201c{step.say}\u201d \u00a0\U0001f44d"}))


SOUND = (
    politely,
    offering_more,
    closing,
    looking_up_more,
    confirming_once_more,
    confirming_in_words,
    naming_in_its_own_way,
    with_dates_in_words,
    asking_one_by_one,
    in_other_letters,
)

"""Text surgery for planted faults: each function spoils a good summary in one way and leaves the rest alone.

All take the answer, its case and a source of randomness, and return the spoilt answer; where there is nothing to spoil (no
amount, no date) they return the answer as it was. Drawing from the same source gives the same answer.
"""

import random
import re

from eval.spine.cases import Case
from service.core.statements.grounding.text import MONTHS, form_occurs

_AMOUNT = re.compile(r"\$\d[\d,]*(?:\.\d{2})?")
_BARE_AMOUNT = re.compile(r"(?<![\d/.-])\d{1,4}\.\d{2}(?![\d/.-])")
_DATE = re.compile(r"\b(Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]*\.? (\d{1,2})\b")
_FULL_NAME = re.compile(r"\b([A-Z][a-z]{2,}) ([A-Z][a-z]{2,})\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9$\"'“])")
_OPEN = re.compile(
    r"\b(?:until|pending|await\w*|waiting|open|unanswered|promised|not yet|no reply|no answer|nothing|no record\w*|due|to come"
    r"|still|unresolved|is to|are to|will|must|by (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))\b",
    re.IGNORECASE,
)
_NEGATIONS = (
    (re.compile(r"\b(is|was|were|are|has|have|had|did|does|do|will|can|could|would) not\b"), r"\1"),
    (re.compile(r"\b(is|was|were|are|has|have|had|did|does|do|could|would)n['’]t\b"), r"\1"),
    (re.compile(r"\bnot yet\b|\bnever\b|\bnot\b", re.IGNORECASE), "already"),
    (re.compile(r"\b(no|nothing) (?=[a-z])", re.IGNORECASE), "a "),
    (re.compile(r"\bunresolved\b", re.IGNORECASE), "resolved"),
    (re.compile(r"\bstill open\b|\bis open\b", re.IGNORECASE), "closed"),
)
_STRANGERS = ("Bartholomew Quist", "Hyacinth Obermann", "Leopold Zanetti", "Ottilie Farquhar", "Casimir Drummond")
_FILLER = (
    "It is recommended to read the whole history with care before taking any further steps.",
    "As always, a friendly and patient tone helps to keep the conversation productive for everyone.",
    "The matter described above may have several aspects that deserve the full attention of the team.",
    "Every effort should be made to understand the situation from the point of view of the person who calls.",
    "Please keep in mind that circumstances can change and that the records may be supplemented later.",
)
_FOREIGN = (
    "El cliente se puso en contacto con la empresa por un problema con su factura y pidió una explicación. El agente revisó la "
    "cuenta y le dijo que el asunto seguía pendiente. Todavía falta una respuesta del departamento correspondiente.",
    "Le client a contacté l'entreprise au sujet d'un problème avec sa facture et a demandé une explication. L'agent a vérifié "
    "le compte et lui a dit que le dossier restait ouvert. Une réponse du service compétent est encore attendue.",
    "Der Kunde hat sich wegen eines Problems mit seiner Rechnung gemeldet und um eine Erklärung gebeten. Der Mitarbeiter hat "
    "das Konto geprüft und gesagt, dass die Sache noch offen ist. Eine Antwort der zuständigen Abteilung steht noch aus.",
)
_REFUSALS = (
    "I'm sorry, but I can't help with summarizing these customer interactions.",
    "I cannot provide a summary of this content because it may contain personal information.",
    "I am unable to assist with this request. Please consult a supervisor for more information.",
)
BOILERPLATE = "The customer contacted the company several times about their account. Further assistance may be needed."
_RESOLVED = (
    "The matter has since been resolved, the refund was issued and the credit was posted; nothing is open.",
    "The request was approved and completed, the case is closed, and no further action is needed.",
    "Power is back on, the balance was paid in full, and the customer confirmed that the issue is fixed.",
)


def split_sentences(text: str) -> list[str]:
    """Split a summary at full stops that a capital or a figure follows."""
    return [part for part in _SENTENCE.split(text.strip()) if part]


def _source(case: Case) -> str:
    return " ".join(str(item.get("text", "")) for item in case.inputs.get("interactions", []))


def swapped_amounts(text: str, case: Case, draws: random.Random) -> str:
    """Exchange two amounts of the answer; an answer with one amount gets another one out of the history."""
    found = list(dict.fromkeys(_AMOUNT.findall(text)))
    if not found:
        return text
    others = [
        f"${figure}" for figure in dict.fromkeys(_BARE_AMOUNT.findall(_source(case))) if f"${figure}" not in found
    ]
    if len(found) == 1:
        return text.replace(found[0], draws.choice(others)) if others else text
    first, second = draws.sample(found, 2)
    return _AMOUNT.sub(lambda m: second if m[0] == first else first if m[0] == second else m[0], text)


def wrong_amounts(text: str, case: Case, draws: random.Random) -> str:
    """Change the leading digit of every amount."""

    def other(match: re.Match[str]) -> str:
        digit = draws.choice([d for d in "123456789" if d != match[0][1]])
        return f"${digit}{match[0][2:]}"

    return _AMOUNT.sub(other, text)


def wrong_dates(text: str, case: Case, draws: random.Random) -> str:
    """Move every date to another month."""

    def other(match: re.Match[str]) -> str:
        now = MONTHS.index(match[1][:3].lower())
        month = MONTHS[(now + draws.choice((4, 5, 6))) % 12].capitalize()
        return f"{month} {match[2]}"

    return _DATE.sub(other, text)


def swapped_names(text: str, case: Case, draws: random.Random) -> str:
    """Give everybody who is named in full the name of a stranger."""
    strangers = list(_STRANGERS)
    draws.shuffle(strangers)
    given: dict[str, str] = {}
    source = _source(case)

    def other(match: re.Match[str]) -> str:
        if match[1] not in source and match[2] not in source:
            return match[0]
        return given.setdefault(match[0], strangers[len(given) % len(strangers)])

    return _FULL_NAME.sub(other, text)


def invented_resolution(text: str, case: Case, draws: random.Random) -> str:
    """End in a resolution that no interaction holds."""
    return f"{text} {draws.choice(_RESOLVED)}"


def false_claim(text: str, case: Case, draws: random.Random) -> str:
    """End in one of the claims that the case's author named as false for it, in the author's words and not in a surface form."""
    claims = [item.claim for item in case.expectations.forbidden]
    return f"{text} {draws.choice(claims).rstrip('.')}." if claims else text


def invented_charge(text: str, case: Case, draws: random.Random) -> str:
    """Begin with a dispute about a charge that nobody made."""
    return f"Disputes a ${draws.randrange(3100, 9900)}.{draws.randrange(11, 99)} equipment charge. {text}"


def leaked_account(text: str, case: Case, draws: random.Random) -> str:
    """Print the served account's number in full."""
    number = str(case.inputs["account_number"])
    return draws.choice((f"Account {number}: {text}", f"{text} (Account number {number}.)"))


def verbose(text: str, case: Case, draws: random.Random) -> str:
    """Pad with sentences that say nothing until the answer has half as many words again, and end in a full stop."""
    missing = -(-len(text.split()) // 2)
    filler = list(_FILLER)
    draws.shuffle(filler)
    words = " ".join(filler * (missing // len(" ".join(filler).split()) + 1)).split()[:missing]
    return f"{text} {' '.join(words).rstrip('.')}."


def wrong_language(text: str, case: Case, draws: random.Random) -> str:
    """Answer in a language that the agent does not read."""
    return draws.choice(_FOREIGN)


def refusal(text: str, case: Case, draws: random.Random) -> str:
    """Refuse."""
    return draws.choice(_REFUSALS)


def boilerplate(text: str, case: Case, draws: random.Random) -> str:
    """Say what is true of every customer."""
    return BOILERPLATE


def dropped_open_items(text: str, case: Case, draws: random.Random) -> str:
    """Leave out the sentences that say what is still open, or the last one when none does; one sentence always stays."""
    parts = split_sentences(text)
    kept = [part for part in parts if not _OPEN.search(part)]
    if len(kept) == len(parts):
        kept = parts[:-1]
    return " ".join(kept or parts[:1])


def lost_negation(text: str, case: Case, draws: random.Random) -> str:
    """Turn what did not happen into what did."""
    for pattern, instead in _NEGATIONS:
        text = pattern.sub(instead, text)
    return text


def marked_up(text: str, case: Case, draws: random.Random) -> str:
    """Write a bold title and a bulleted list, as chat models do when nobody forbids it."""
    return "**Summary:**\n" + "\n".join(f"- {part}" for part in split_sentences(text))


def supported_part(text: str, case: Case, prompt: str) -> str:
    """Leave out sentences of ``text`` that state a fact whose source is not in ``prompt``; "" when none is left."""
    hidden = [fact for fact in case.expectations.facts if fact.span not in prompt]
    kept = [
        part
        for part in split_sentences(text)
        if not any(form_occurs(form, part) for fact in hidden for form in fact.accepted)
    ]
    return " ".join(kept)

"""Checks the conditions that a reply sets, such as an age or a job: each must stand in a tool's answer."""

import re
from collections.abc import Iterator
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.answers.support import content_of, is_negative
from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "requirements")

_CONDITION = re.compile(_TEXTS["condition"])
_END = re.compile(r"[;,]| and (?=you|a|an|your)| which | who ")
_KNOWN = content_of("have be hold you account larkfield bank customer apply open need already also must")
_LEAST_UNKNOWN = 0.5


def requirement_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield the conditions of the reply most of whose words no tool, customer or earlier reply has used."""
    known = content_of(f"{seen.known}\n{seen.said}") | _KNOWN
    told = "No tool sets this condition; leave it out:"
    for sentence in sentences(reply.reply):
        if is_negative(sentence) or sentence.endswith("?"):
            continue
        text = " ".join(re.sub(r"[’']", "", sentence.lower()).split())
        for match in _CONDITION.finditer(text):
            clause = _END.split(text[match.end() :], maxsplit=1)[0]
            words = content_of(fold(clause)) - _KNOWN
            if words and len(words - known) >= _LEAST_UNKNOWN * len(words):
                yield Objection(kind="fabricated_requirement", value=clause.strip(), told=told)

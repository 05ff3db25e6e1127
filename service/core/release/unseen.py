"""The harms that nobody looked at in a gate's evidence: their wording, and which stages release and serve such evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from service.kit.settings import Settings, Stage

_MOST_NAMED = 4  # a headline counts more kinds than these where nobody looked at any
_TAKING: tuple[Stage, ...] = ("local", "dev")


def unseen_text(unseen: Sequence[str] | None, looked_at: Sequence[str] = ()) -> str:
    """Return in a few words what nobody looked at; "" if a judge looked at every kind.

    Args:
        unseen: names of the kinds that nobody looked at; None: the evidence does not state them.
        looked_at: names of the kinds that a licensed judge looked at.
    """
    if unseen is None:
        return "whether anybody looked at meaning is not stated"
    if not unseen:
        return ""
    if looked_at or len(unseen) <= _MOST_NAMED:
        return f"no judge model looked at {', '.join(unseen)}"
    return f"no judge model looked at meaning ({len(unseen)} kinds)"


def verdict_headline(verdict: str, unseen: Sequence[str] | None, looked_at: Sequence[str] = ()) -> str:
    """Return a verdict with what nobody looked at: what every report prints in place of the bare verdict.

    A pass is limited in the same sentence: "pass for form and figures; no judge model looked at meaning (12 kinds)". The other
    verdicts hold whatever a judge would add, so they say it in a second sentence.
    """
    text = unseen_text(unseen, looked_at)
    if not text:
        return verdict
    if verdict != "pass":
        return f"{verdict}. {text[0].upper()}{text[1:]}"
    nothing_named = unseen is None or (not looked_at and len(unseen) > _MOST_NAMED)
    return f"{verdict} for form and figures; {text}" if nothing_named else f"{verdict}; {text}"


def unseen_in_full(unseen: Sequence[str] | None, looked_at: Sequence[str] = ()) -> str:
    """Return what nobody looked at with the name of every kind; "" if a judge looked at every kind."""
    text = unseen_text(unseen, looked_at)
    return f"{text}: {', '.join(unseen)}" if text.endswith("kinds)") and unseen else text


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenPolicy:
    """Whether ``stage`` releases and serves a pair although nobody looked at some kinds of harm (``takes``).

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

    def refuses(self, unseen: Sequence[str] | None, allowed_in: Stage | None = None) -> bool:
        """Return whether a release on this evidence is refused; ``allowed_in`` is the stage of its signed exception."""
        return (unseen is None or bool(unseen)) and not self.takes and allowed_in != self.stage

    def exception_for(self, unseen: Sequence[str] | None) -> Stage | None:
        """Return the stage to sign into a release on this evidence; None if the release needs no exception."""
        return self.stage if self.takes and self.lacks_exception(unseen, None) else None

    def lacks_exception(self, unseen: Sequence[str] | None, allowed_in: Stage | None) -> bool:
        """Return whether services of this stage refuse a release on this evidence unless their own setting takes it."""
        return (unseen is None or bool(unseen)) and self.stage not in _TAKING and allowed_in != self.stage

"""Decides whether a pair may be released although nobody looked at some sentences or kinds of harm, and tells the releaser so."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from eval.spine.errors import Refused
from eval.spine.suite import Suite
from figures.command_line import REASON, omni
from service.core.release.attestation import GateAttestation
from service.core.release.judge_exception import MOST_DAYS
from service.core.release.release import Release
from service.core.release.unseen import UnseenPolicy, is_lacking, unseen_in_full
from service.kit.frame.display.inert import one_line
from service.kit.frame.display.terminal import say
from service.kit.settings import Stage

Say = Callable[[str], object]
_LONGEST = 120


def say_aside(text: str) -> None:
    """Print ``text`` for a person, beside a command's own output."""
    say(text, file=sys.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeException:
    """The exception to sign into a release: its stage, reason, who allows it and its last day; None if it needs none."""

    allowed_in: Stage | None = None
    reason: str | None = None
    who: str | None = None
    until: date | None = None

    @classmethod
    def of(cls, release: Release) -> "JudgeException":
        """Return the exception that ``release`` was signed with."""
        found = release.exception
        if found is None:
            return cls()
        return cls(
            allowed_in=found.stage, reason=release.without_judge, who=release.without_judge_by, until=found.until
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The exception as fields of a release or a rollout step."""
        return {
            "unseen_allowed_in": self.allowed_in,
            "without_judge": self.reason,
            "without_judge_by": self.who,
            "without_judge_until": None if self.until is None else self.until.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Why a release goes on without a licensed judge, who allows that, and the last day (UTC) on which it holds."""

    why: str
    who: str
    until: date

    @classmethod
    def asked_for(cls, why: str | None, who: str | None, until: str | None, today: date) -> Self | None:
        """Return the waiver that was asked for; None if none was.

        Raises:
            Refused: it does not say who, or until when, or that is no day of the next ``MOST_DAYS``.
        """
        if not (why or "").strip():
            return None
        example = f'--without-judge "..." --allowed-by NAME --until {today + timedelta(days=MOST_DAYS)}'
        if not (who or "").strip():
            raise Refused(f"--without-judge needs the person who allows it: {example}")
        try:
            last = date.fromisoformat((until or "").strip())
        except ValueError:
            raise Refused(f"--without-judge needs the last day on which it holds, as YYYY-MM-DD: {example}") from None
        if not today <= last <= today + timedelta(days=MOST_DAYS):
            raise Refused(f"--until {last} is not within {MOST_DAYS} days of today, {today}: {example}")
        return cls(why=(why or "").strip(), who=one_line((who or "").strip(), _LONGEST), until=last)


def exception_of(
    attestation: GateAttestation,
    suite: Suite,
    policy: UnseenPolicy,
    say: Say,
    *,
    without_judge: Waiver | None = None,
    earlier: JudgeException | None = None,
    now: datetime | None = None,
) -> JudgeException:
    """Return the exception to sign into a release on ``attestation``.

    Args:
        attestation: the evidence.
        suite: its suite, whose judges could look at the unseen kinds.
        policy: of the releasing stage.
        say: is told what nobody looked at, if the release goes on in spite of it.
        without_judge: that this release goes on without a judge, if somebody allowed it.
        now: for an exception that nobody gave an end; default: now.
        earlier: the exception that an earlier release of the same evidence was signed with: it still counts in its stage.

    Raises:
        Refused: nobody looked at some kinds, and this stage takes no such evidence; names the kinds and the remedy.
    """
    reason = without_judge.why if without_judge is not None else ""
    text = unseen_in_full(attestation.unseen, attestation.looked_at, attestation.sentences)
    if not is_lacking(attestation.unseen, attestation.sentences):
        if text:
            say(f"note: {text}")
        if reason:
            say("note: a judge looked at every kind of harm; --without-judge is not needed and not recorded")
        return JudgeException()
    # An exception counts in its own stage alone, and is not carried from there into another stage's release.
    kept = earlier if earlier is not None and earlier.allowed_in == policy.stage else None
    if not reason and policy.refuses(attestation.unseen, kept.allowed_in if kept else None, attestation.sentences):
        raise Refused(
            f"{attestation.pair_name} {attestation.pair_digest[:12]} is not released in stage {policy.stage!r}: {text}. "
            f"{_remedy(attestation, suite)} To release it all the same, say why, who allows it and until when with "
            "--without-judge, --allowed-by and --until: it is signed into the release, and history, verify and /v1/pairs show it"
        )
    if not policy.lacks_exception(attestation.unseen, None, attestation.sentences):
        say(f"note: {text}. Stage {policy.stage!r} takes such evidence; test and prod refuse it")
        return JudgeException()
    say(f"note: {text}. The exception for stage {policy.stage!r} is signed into the release")
    if not reason and kept is not None:
        return kept
    if without_judge is not None:
        return JudgeException(allowed_in=policy.stage, reason=reason, who=without_judge.who, until=without_judge.until)
    last = ((now or datetime.now(UTC)) + timedelta(days=MOST_DAYS)).date()
    return JudgeException(allowed_in=policy.stage, reason="OMNI_RELEASE_UNSEEN=allow", until=last)


def refuse_another(running: Release | None, exception: JudgeException, now: datetime) -> None:
    """Refuse a promotion under an exception while the one that production runs under has run out.

    What runs goes on, and a rollback is always possible; but an exception is no way to go on without a judge for good.
    """
    ended = running.exception if running is not None else None
    if running is None or ended is None or not ended.over(now) or exception.allowed_in is None:
        return
    raise Refused(
        f"release {running.sequence} runs {ended.text(now)}. Nothing new is released under another exception: have a licensed "
        f"judge look ({omni('calibrate', task=running.task)}), or go back with {omni('rollback', *REASON, task=running.task)}"
    )


def _remedy(attestation: GateAttestation, suite: Suite) -> str:
    unseen = None if attestation.unseen is None else set(attestation.unseen)
    judges = [spec.rubric for spec in suite.judges if spec.kinds and (not unseen or unseen & set(spec.kinds))]
    if not judges:
        return f"No judge of the suite of {suite.task!r} can be licensed for these kinds: add one that can."
    calibrate = omni("calibrate", "--judge", ",".join(judges), task=suite.task)
    again = omni("eval", "--pairs", attestation.pair_name, task=suite.task)
    return f"Have a judge that is licensed for these kinds look at the answers: {calibrate}, then {again}."

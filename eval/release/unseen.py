"""Decides whether a pair may be released although nobody looked at some sentences or kinds of harm, and tells the releaser so."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eval.spine.errors import Refused
from eval.spine.suite import Suite
from figures.command_line import omni
from service.core.release.attestation import GateAttestation
from service.core.release.unseen import UnseenPolicy, is_lacking, unseen_in_full
from service.kit.frame.display.terminal import say
from service.kit.settings import Stage

Say = Callable[[str], object]


def say_aside(text: str) -> None:
    """Print ``text`` for a person, beside a command's own output."""
    say(text, file=sys.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeException:
    """The exception to sign into a release: its stage and the reason; both None if the release needs none."""

    allowed_in: Stage | None = None
    reason: str | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The exception as fields of a release or a rollout step."""
        return {"unseen_allowed_in": self.allowed_in, "without_judge": self.reason}


def exception_of(
    attestation: GateAttestation,
    suite: Suite,
    policy: UnseenPolicy,
    say: Say,
    *,
    without_judge: str | None = None,
    earlier: JudgeException | None = None,
) -> JudgeException:
    """Return the exception to sign into a release on ``attestation``.

    Args:
        attestation: the evidence.
        suite: its suite, whose judges could look at the unseen kinds.
        policy: of the releasing stage.
        say: is told what nobody looked at, if the release goes on in spite of it.
        without_judge: why this release goes on without a judge, if somebody said so.
        earlier: the exception that an earlier release of the same evidence was signed with: it still counts in its stage.

    Raises:
        Refused: nobody looked at some kinds, and this stage takes no such evidence; names the kinds and the remedy.
    """
    reason = (without_judge or "").strip()
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
            f"{_remedy(attestation, suite)} To release it all the same, say why with --without-judge: it is signed into the "
            "release, and history, verify and /v1/pairs show it"
        )
    if not policy.lacks_exception(attestation.unseen, None, attestation.sentences):
        say(f"note: {text}. Stage {policy.stage!r} takes such evidence; test and prod refuse it")
        return JudgeException()
    say(f"note: {text}. The exception for stage {policy.stage!r} is signed into the release")
    if not reason and kept is not None:
        return kept
    return JudgeException(allowed_in=policy.stage, reason=reason or "OMNI_RELEASE_UNSEEN=allow")


def _remedy(attestation: GateAttestation, suite: Suite) -> str:
    unseen = None if attestation.unseen is None else set(attestation.unseen)
    judges = [spec.rubric for spec in suite.judges if spec.kinds and (not unseen or unseen & set(spec.kinds))]
    if not judges:
        return f"No judge of the suite of {suite.task!r} can be licensed for these kinds: add one that can."
    calibrate = omni("calibrate", "--judge", ",".join(judges), task=suite.task)
    again = omni("eval", "--pairs", attestation.pair_name, task=suite.task)
    return f"Have a judge that is licensed for these kinds look at the answers: {calibrate}, then {again}."

"""Decides whether a pair may be released although nobody looked at some kinds of harm, and tells the releaser so."""

import sys
from collections.abc import Callable

from eval.errors import Refused
from eval.suite import Suite
from figures.command_line import omni
from service.display.terminal import say
from service.release.attestation import GateAttestation
from service.release.unseen import UnseenPolicy, unseen_in_full
from service.settings import Stage

Say = Callable[[str], object]


def say_aside(text: str) -> None:
    """Print ``text`` for a person, beside a command's own output."""
    say(text, file=sys.stderr)


def exception_of(
    attestation: GateAttestation, suite: Suite, policy: UnseenPolicy, say: Say, earlier: Stage | None = None
) -> Stage | None:
    """Return the stage of the exception to sign into a release on ``attestation``; None if it needs no exception.

    Args:
        attestation: the evidence.
        suite: its suite, whose judges could look at the unseen kinds.
        policy: of the releasing stage.
        say: is told what nobody looked at, if the release goes on in spite of it.
        earlier: the exception that an earlier release of the same evidence was signed with: it still counts.

    Raises:
        Refused: nobody looked at some kinds, and this stage takes no such evidence; names the kinds and the remedy.
    """
    text = unseen_in_full(attestation.unseen, attestation.looked_at)
    if not text:
        return None
    if policy.refuses(attestation.unseen, earlier):
        raise Refused(
            f"{attestation.pair_name} {attestation.pair_digest[:12]} is not released in stage {policy.stage!r}: {text}. "
            f"{_remedy(attestation, suite)} To release it all the same, set OMNI_RELEASE_UNSEEN=allow: it is signed into the "
            "release, and history, verify and /v1/pairs show it"
        )
    # An exception counts in its own stage alone, and is not carried from there into another stage's release.
    exception = policy.exception_for(attestation.unseen) or (earlier if earlier == policy.stage else None)
    if exception is None:
        say(f"note: {text}. Stage {policy.stage!r} takes such evidence; test and prod refuse it")
    else:
        say(f"note: {text}. The exception for stage {exception!r} is signed into the release")
    return exception


def _remedy(attestation: GateAttestation, suite: Suite) -> str:
    unseen = None if attestation.unseen is None else set(attestation.unseen)
    judges = [spec.rubric for spec in suite.judges if spec.kinds and (unseen is None or unseen & set(spec.kinds))]
    if not judges:
        return f"No judge of the suite of {suite.task!r} can be licensed for these kinds: add one that can."
    calibrate = omni("calibrate", "--judge", ",".join(judges), task=suite.task)
    again = omni("eval", "--pairs", attestation.pair_name, task=suite.task)
    return f"Have a judge that is licensed for these kinds look at the answers: {calibrate}, then {again}."

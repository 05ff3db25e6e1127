"""What evidence is worth where: by what answered when it was made, and by the stage that a release is for."""

from service.core.release.attestation import GateAttestation
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import RegistryError
from service.kit.settings import Stage


def worth_problem(attestation: GateAttestation, stage: Stage) -> str | None:
    """Return why ``attestation`` releases nothing to ``stage``, or None.

    A stand-in's answers prove nothing of the model that they stand for, so they count in ``local`` alone. Answers of a provider,
    of an endpoint that somebody named, and of code count in every stage, whichever it was made in.
    """
    if stage == "local":
        return None
    if "stand-in" in attestation.origins:
        by = ", ".join(attestation.answered_by) or "nobody"
        return f"a stand-in answered (answered by {by}): such evidence releases to stage 'local' alone"
    if not attestation.origins and attestation.environment == "local":
        return "it does not say what answered, where a stand-in may have: such evidence releases to stage 'local' alone"
    return None


def refuse_elsewhere(
    what: str, stage: Stage | None, made_in: str, environment: str | None, policy: UnseenPolicy | None
) -> None:
    """Refuse a statement for another stage, or, if it is too old to state one, from another environment.

    ``what`` names it in the message; ``stage`` is None in older ones. ``environment`` or ``policy`` None skips its check.

    Raises:
        RegistryError: it is for elsewhere.
    """
    if stage is None:
        if environment is not None and made_in != environment:
            raise RegistryError(
                f"{what} is for {made_in!r}, where its evidence is from; this service runs in {environment!r}"
            )
    elif policy is not None and stage != policy.stage:
        raise RegistryError(
            f"{what} is for stage {stage!r}, and this service is in stage {policy.stage!r}: release the pair there, on the same "
            "evidence (`omni promote --evidence`)"
        )

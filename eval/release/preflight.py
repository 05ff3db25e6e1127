"""Refuses a release before anything is measured, where no measurement could allow it: the pair's role, the key, the judges."""

from eval.judges.calibration import load
from eval.judges.jury import load_jury
from eval.judges.licence import licence, terms_of
from eval.release.signing import signer_to_release
from eval.release.to_release import read_to_release, refuse_demo
from eval.release.unseen import Waiver
from eval.spine.errors import Refused
from eval.spine.suite import Suite
from figures.command_line import omni
from service.core.release.unseen import UnseenPolicy
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings


def check_release(
    task_name: str, pair_name: str, settings: Settings, *, without_judge: Waiver | None = None
) -> list[str]:
    """Return what is in order, and what remains to be measured, in sentences. No model is asked, and nothing is written.

    Raises:
        Refused: no gate could allow this release: the pair is a demo, or the judges that were measured here are not licensed.
        SigningError: there is no usable signing key, or services do not trust it.
        PairError, CaseError, ConfigurationError: something is missing or wrong.
    """
    wanted = read_to_release(task_name, pair_name, settings)
    refuse_demo(wanted.pair, settings)
    signer = signer_to_release(settings)
    return [
        f"{pair_name} {wanted.pair.digest[:12]} may be released to stage {settings.stage!r} if its gate passes",
        f"the signing key {signer.public_key.keyid[:12]} is trusted",
        _judges(wanted.suite, settings, without_judge),
    ]


def _judges(suite: Suite, settings: Settings, waiver: Waiver | None) -> str:
    if not suite.judged_only:
        return "code sees every harm that the suite names"
    if waiver is not None:
        return (
            f"no judge is needed until {waiver.until}, allowed by {waiver.who}: {waiver.why} (signed into the release)"
        )
    if UnseenPolicy.of(settings).takes:
        return f"stage {settings.stage!r} takes evidence that no judge looked at"
    unmeasured, looked_at = _measured(suite, settings)
    unseen = [kind.name for kind in suite.judged_only if kind.name not in looked_at]
    if not unseen:
        return "licensed judges look at every kind of harm"
    if unmeasured:
        calibrate = omni("calibrate", "--judge", ",".join(unmeasured), task=suite.task)
        return f"not known yet: whether judges may look at {', '.join(unseen)}. Measure them first: {calibrate}"
    raise Refused(
        f"no licensed judge looks at {', '.join(unseen)}, so stage {settings.stage!r} would refuse the release after its "
        "gate. To release it all the same, say why, who allows it and until when with --without-judge, "
        "--allowed-by and --until: it is signed into the release, and history, verify and /v1/pairs show it"
    )


def _measured(suite: Suite, settings: Settings) -> tuple[list[str], set[str]]:
    """Return the rubrics of the judges that were never measured here, and the kinds that those measured are licensed for."""
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    unmeasured, looked_at = [], set()
    for spec in suite.judges:
        if not (spec.kinds and spec.bounded):
            continue
        record = load(settings.state_dir, load_jury(spec.rubric, settings=settings, cards=cards).digest)
        if record is None:
            unmeasured.append(spec.rubric)
        looked_at |= set(licence(record, spec, terms_of(suite, settings, spec)).licensed)
    return unmeasured, looked_at

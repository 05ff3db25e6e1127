"""What is refused before a gate, because no measurement could allow it."""

from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from eval.judges.calibration import Calibration, save
from eval.judges.jury import load_jury
from eval.release.preflight import check_release
from eval.release.unseen import Waiver
from eval.spine.errors import Refused, SigningError
from eval.suites import load_suite
from service.core.unit.cards import ModelCards
from service.kit.settings import REPO_ROOT, Settings

WAIVER = Waiver(why="a floor", who="maria", until=date(2026, 12, 1))


def private_text(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def prod(tmp_path):
    """Settings of stage prod with a key that is trusted."""
    key = Ed25519PrivateKey.generate()
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return Settings(
        environment="aws", state_dir=tmp_path / "state", trusted_keys=trusted, signing_key=private_text(key)
    )


def measure_without_licence(settings):
    """Keep a record of each judge that was measured on nothing that could license it."""
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    for spec in load_suite("summarize").judges:
        jury = load_jury(spec.rubric, settings=settings, cards=cards)
        record = Calibration(
            judge_digest=jury.digest, rubric=jury.rubric, model=jury.model, answered_by="m", environment="aws",
            date="2026-11-22T00:00:00+00:00", repeats=1, sets=(), contrasts=None,
        )  # fmt: skip
        save(record, settings.state_dir)


def test_judges_that_nobody_measured_are_named_with_the_command(prod):
    _, key, judges = check_release("summarize", "extractive", prod)
    assert key.endswith("is trusted")
    assert "not known yet" in judges
    assert "omni calibrate --judge claims" in judges
    assert not prod.state_dir.exists()


def test_judges_that_were_measured_and_not_licensed_refuse_the_release_before_its_gate(prod):
    measure_without_licence(prod)
    with pytest.raises(Refused, match=r"no licensed judge looks at .*--without-judge"):
        check_release("summarize", "extractive", prod)


def test_a_reason_or_a_stage_that_takes_such_evidence_needs_no_judge(prod):
    measure_without_licence(prod)
    assert (
        "no judge is needed until 2026-12-01, allowed by maria: a floor"
        in check_release("summarize", "extractive", prod, without_judge=WAIVER)[2]
    )
    dev = prod.model_copy(update={"stage": "dev"})
    assert "'dev' takes evidence" in check_release("summarize", "extractive", dev)[2]


def test_a_key_that_no_service_trusts_and_a_demo_are_refused(prod):
    other = Settings(
        environment="aws",
        state_dir=prod.state_dir,
        trusted_keys=prod.release.trusted_keys,
        signing_key=private_text(Ed25519PrivateKey.generate()),
    )
    with pytest.raises(SigningError, match="is not trusted"):
        check_release("summarize", "extractive", other, without_judge=WAIVER)
    with pytest.raises(Refused, match="is a demo"):
        check_release("summarize", "smollm2-short", prod, without_judge=WAIVER)

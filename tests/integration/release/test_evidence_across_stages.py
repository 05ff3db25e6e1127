"""Evidence made in stage `test` releases in `prod` by reference: two stores, two KMS keys, a bucket between them."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.release.audit import Audit
from eval.release.promotion import promote_pair
from eval.release.reference import Bundle
from eval.release.releaser import Releaser
from eval.spine.errors import Refused
from service.core.release.registry import RegistryPairSource
from service.core.release.statements import envelope_digest
from service.kit.aws.clients import client
from service.kit.frame.errors import RegistryError

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BUCKET = "omni-evidence"


@pytest.fixture(scope="module")
def stages(local_aws, tmp_path_factory):
    """Settings of `test` and `prod`, each with its own store and KMS key; `prod` trusts the key of `test` for evidence alone."""
    root = tmp_path_factory.mktemp("stages")
    task = ThrowAway(root)
    aws = local_aws(root=root)
    client("s3", aws).create_bucket(Bucket=BUCKET)
    kms, keys, publics = client("kms", aws), {}, {}
    for stage in ("test", "prod"):
        keys[stage] = kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        public = load_der_public_key(kms.get_public_key(KeyId=keys[stage])["PublicKey"])
        publics[stage] = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def settings(stage):
        (root / f"{stage}.pem").write_bytes(publics[stage])
        return aws.model_copy(
            update={
                "stage": stage,
                "state_dir": root / stage,
                "registry_uri": f"sqlite:///{root}/{stage}/mlflow.db",
                "signing_kms_key": keys[stage],
                "trusted_keys": root / f"{stage}.pem",
                "evidence_bucket": BUCKET if stage == "test" else None,
                "registry_refresh_s": 0.2,
            }
        )

    (root / "prod.evidence.pem").write_bytes(publics["test"])
    yield settings("test"), settings("prod")
    task.remove()


def judged(settings):
    """Evaluate `loud`, and return the address of its evidence and the file beside the report."""
    done = evaluate(Options(task="shout", pairs=("loud",)), settings)
    address = f"s3://{BUCKET}/evidence/shout/loud/{done.evaluation.run_id}.evidence.json"
    return address, done.report.parent / "loud.evidence.json"


def next_version(settings, version):
    path = settings.prompts_dir / "shout" / "loud.prompty"
    path.write_text(ThrowAway.pair("loud", "local.shout-v1", version=version), encoding="utf-8")


def promote(settings, evidence_from=None):
    by = Releaser.of({"CI": "1"}, approved_by="maria", pull_request="12")
    return promote_pair("shout", "loud", "better", settings, [].append, by=by, evidence_from=evidence_from)


def test_evidence_moves_by_reference_and_only_where_the_same_pair_is_in_production(stages, tmp_path):
    test, prod = stages
    address, file = judged(test)
    envelope = json.loads(file.read_text())["attestation"]
    first = promote(prod, address)
    assert (first.stage, first.who, first.pull_request) == ("prod", "maria", "12")
    assert first.attestation == envelope_digest(envelope, "it")  # the same attestation, not a new one
    source = RegistryPairSource("shout", prod)
    source.refresh()
    assert source.current().sequence == 1
    assert [item.problem for item in Audit("shout", prod).items() if item.problem] == []
    with pytest.raises(Refused, match="in production already"):
        promote(prod, address)

    # In test nothing is in production yet, in prod there is: no worse than nothing is not no worse than that.
    next_version(test, "1.1.0")
    address, file = judged(test)
    with pytest.raises(Refused, match=r"compared it with nothing.* but in stage 'prod' \w{12} is in production"):
        promote(prod, address)

    next_version(test, "1.0.0")
    assert promote(test).stage == "test"
    next_version(test, "1.1.0")
    address, file = judged(test)
    _refuses_what_is_wrong_with_the_file(prod, file, tmp_path)
    assert promote(prod, str(file)).sequence == 2
    assert [item.problem for item in Audit("shout", prod).items() if item.problem] == []
    stranger = RegistryPairSource("shout", prod.model_copy(update={"stage": "test"}))
    stranger.refresh()
    with pytest.raises(RegistryError, match=r"release 2 of version 2 .* is for stage 'prod'"):
        stranger.current()


def _refuses_what_is_wrong_with_the_file(prod, file, tmp_path):
    bundle = Bundle(**json.loads(file.read_text()))
    wrong = tmp_path / "wrong.json"
    cases = (
        (Bundle(attestation=bundle.attestation, figures=bundle.figures, cases=bundle.cases + " ").text, "the cases in"),
        (Bundle(attestation=bundle.attestation, figures="{}", cases=bundle.cases).text, "the figures in"),
        ("{}", "is no evidence"),
        (bundle.attestation, "is no evidence"),
        ("[" * 100_000, "is no evidence"),
    )
    for text, said in cases:
        wrong.write_text(text)
        with pytest.raises(Refused, match=said):
            promote(prod, str(wrong))
    for nowhere in (str(tmp_path / "none.json"), f"s3://{BUCKET}/none.json", "s3://no-such-bucket/x"):
        with pytest.raises(Refused, match="cannot be read"):
            promote(prod, nowhere)
    alone = prod.model_copy(update={"trusted_keys": tmp_path / "prod-only.pem"})
    alone.trusted_keys_file.write_bytes(prod.trusted_keys_file.read_bytes())
    with pytest.raises((Refused, RegistryError), match="not by a key trusted"):
        promote(alone, str(file))

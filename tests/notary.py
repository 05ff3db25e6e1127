"""Statements signed as a release signs them, valid until a test changes them."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.signer import CryptoSigner

from eval.signing import sign_statement
from service.attestation import GateAttestation
from service.release import DIGEST_TAG, Release, attestation_tag
from service.statements import TrustedKeys, envelope_digest, verifying_key


class Notary:
    def __init__(self, private=None):

        self.private = private or Ed25519PrivateKey.generate()
        key = verifying_key(self.private.public_key())
        self.signer = CryptoSigner(self.private, key)
        self.keys = TrustedKeys(path=Path("trusted.pem"), keys={key.keyid: key})

    def public_pem(self):

        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def private_pem(self):

        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, statement):

        return sign_statement(self.signer, statement.statement())

    def attestation(self, pair, **changes):

        fields = {
            "pair_name": pair.name,
            "pair_digest": pair.digest,
            "task": pair.task,
            "scope": "gate",
            "dataset_name": "dev",
            "dataset_digest": "data" * 16,
            "case_count": 40,
            "suite_digest": "suit" * 16,
            "judges": (),
            "code_version": "abc",
            "environment": "local",
            "answered_by": ("m",),
            "baseline_digest": None,
            "evaluation_id": "e1",
            "verdict": "pass",
            "checks": {"pass": 3, "fail": 0, "inconclusive": 0},
            "figures_digest": "f" * 64,
            "cases_digest": "c" * 64,
            "issued_at": datetime(2026, 11, 20, tzinfo=UTC),
            "expires_at": datetime(2026, 12, 20, tzinfo=UTC),
        }
        return GateAttestation(**fields | changes)

    def release(self, pair, sequence=1, **changes):

        fields = {
            "task": pair.task,
            "sequence": sequence,
            "kind": "promote",
            "registry_version": 3,
            "pair_name": pair.name,
            "pair_digest": pair.digest,
            "from_digest": None,
            "gate_run_id": "r",
            "attestation": envelope_digest(self.sign(self.attestation(pair)), "it"),
            "previous": None,
            "who": "me",
            "why": "because",
            "at": "2026-11-21T00:00:00+00:00",
            "environment": "local",
        }
        return Release(**fields | changes)

    def tags(self, pair, *, release=None, attestation=None):
        """Tags of a registry version that was released properly, or with one statement put in place of the proper one."""

        evidence = self.sign(attestation or self.attestation(pair))
        release = release or self.release(pair, attestation=envelope_digest(evidence, "it"))
        return {
            DIGEST_TAG: pair.digest,
            release.tag: self.sign(release),
            attestation_tag(release.attestation): evidence,
        }

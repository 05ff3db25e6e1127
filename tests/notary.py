"""Statements signed as a release signs them, valid until a test changes them."""

from pathlib import Path

from builders import gate_attestation
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.signer import CryptoSigner

from eval.release.signing import sign_statement
from service.core.release.release import DIGEST_TAG, Release, attestation_tag
from service.core.release.statements import TrustedKeys, envelope_digest, verifying_key


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
        about = {"pair_name": pair.name, "pair_digest": pair.digest, "task": pair.task}
        return gate_attestation(**about | changes)

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

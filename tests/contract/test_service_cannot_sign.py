"""The service holds public keys only: nothing under service/ can load a private key or sign."""

import ast
from pathlib import Path

import pytest

SERVICE = Path(__file__).resolve().parents[2] / "service"
SIGNS = ("PrivateKey", "Signer", "load_pem_private_key", "load_der_private_key", "load_ssh_private_key")


def names(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


def signing_names(source):
    return [name for name in names(source) if name.endswith(SIGNS) or name == "signing_key"]


@pytest.mark.parametrize("path", sorted(SERVICE.rglob("*.py")), ids=lambda path: str(path.relative_to(SERVICE)))
def test_no_module_of_the_service_signs(path):
    assert signing_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey",
        "from securesystemslib.signer import CryptoSigner",
        "serialization.load_pem_private_key(x, None)",
        "settings.signing_key",
    ],
)
def test_the_check_sees_who_would(source):
    assert signing_names(source) != []

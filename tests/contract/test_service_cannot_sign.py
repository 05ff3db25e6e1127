"""Of the keys that release pairs, the service holds public halves only: nothing under service/ can sign a statement.

The one module that handles private keys is ``service/access/keys.py``: it makes tokens for callers, with P-256 keys, which
no reader of statements takes.
"""

import ast
from pathlib import Path

import pytest

from service.access.keys import new_key
from service.access.sealing import OwnerOnly
from service.core.release.statements import load_trusted_keys
from service.kit.frame.errors import ConfigurationError

SERVICE = Path(__file__).resolve().parents[2] / "service"
SIGNS = ("PrivateKey", "Signer", "load_pem_private_key", "load_der_private_key", "load_ssh_private_key")


TOKEN_KEYS = SERVICE / "access" / "keys.py"


def names(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


def signing_names(source):
    return [name for name in names(source) if name.endswith(SIGNS) or name == "signing_key"]


def test_no_module_of_the_service_signs():
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(set(SERVICE.rglob("*.py")) - {TOKEN_KEYS})}
    assert len(texts) > 100
    assert {str(path): names for path, text in texts.items() if (names := signing_names(text))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey",
        "from securesystemslib.signer import CryptoSigner",
        "serialization.load_pem_private_key(x, None)",
        "settings.release.signing_key",
    ],
)
def test_the_check_sees_who_would(source):
    assert signing_names(source) != []


def test_a_token_key_is_never_trusted_for_statements(tmp_path):
    _, item = new_key(OwnerOnly(), signs_from=0.0)
    trusted = tmp_path / "trusted.txt"
    trusted.write_text(item.public, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not an Ed25519 key"):
        load_trusted_keys(trusted)

"""Tokens of a tools' server in a file: one client, one token."""

import pytest

from service.core.tools.mcp.tokens import read_tokens
from service.kit.frame.errors import ConfigurationError

TOKEN = "a-token-of-the-tools-server-0001"


async def test_each_client_has_a_token_of_its_own(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"desk {TOKEN}\nvoice {TOKEN}2\ndesk {TOKEN}3\n")
    verifier = read_tokens(path)
    found = [await verifier.verify_token(token) for token in (TOKEN, f"{TOKEN}2", f"{TOKEN}3")]
    assert [each.client_id for each in found] == ["desk", "voice", "desk"]


def test_one_token_for_two_names_is_refused_and_not_quoted(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"desk {TOKEN}\n\nvoice {TOKEN}\n")
    with pytest.raises(ConfigurationError, match=r"tokens:3: 'voice' has the same token as 'desk'") as caught:
        read_tokens(path)
    assert TOKEN not in str(caught.value)

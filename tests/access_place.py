"""Clients and a token key for tests, kept as the command line keeps them."""

import json

from service.access.clients import hash_secret
from service.access.control import open_changes
from service.access.seals import change_client


def keep_clients(settings, secret, **clients):
    """Keep clients by name, each with ``secret`` and the given fields or scopes, and a token key; return the changes."""
    changes = open_changes(settings)
    if not changes.token_keys():
        changes.rotate_key()
    for name, given in clients.items():
        fields = given if isinstance(given, dict) else {"scopes": given}
        text = json.dumps({"secrets": [hash_secret(secret)], **fields})
        change_client(changes.items, changes.sealer, name, lambda _, text=text: text)
    return changes

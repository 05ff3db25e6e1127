"""Random ids."""

import os


def new_id() -> str:
    """Return 12 random hexadecimal digits."""
    return os.urandom(6).hex()

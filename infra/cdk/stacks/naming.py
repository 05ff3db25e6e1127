"""Logical ids of names that are written with underscores, dashes or dots."""

import re


def pascal(name: str) -> str:
    """Return ``SummariesTable`` for ``summaries_table``."""
    return "".join(part.capitalize() for part in re.split(r"[-_.]", name))

"""Checks that the data card names the digests of the current case files."""

from collections.abc import Mapping
from pathlib import Path

from eval.casecheck.files import CaseProblem

CARD = "README.md"
SHOWN = 12  # characters of a digest that are shown, as in all reports


def card_problems(folder: Path, digests: Mapping[str, str]) -> list[CaseProblem]:
    """Return a problem for each file whose row in the card's table lacks the file's digest; none without a card.

    Args:
        folder: ``datasets/<task>``.
        digests: file stem -> SHA-256 of its cases.
    """
    card = folder / CARD
    if not card.exists():
        return []
    lines = card.read_text(encoding="utf-8").splitlines()
    problems = []
    for file, digest in digests.items():
        row = next((line for line in lines if line.startswith(f"| `{file}.jsonl` |")), None)
        if row is None:
            text = f"has no row in the table of {CARD}; add one with the digest {digest[:SHOWN]}"
        elif f"`{digest[:SHOWN]}`" not in row:
            text = (
                f"has digest {digest[:SHOWN]}, but its row in {CARD} has another: bump the card's version, describe the "
                "change in its changelog, and write the digest into the row"
            )
        else:
            continue
        problems.append(CaseProblem(file=file, line=0, id="", text=text))
    return problems

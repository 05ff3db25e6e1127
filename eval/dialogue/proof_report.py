"""Prints the proofs of conversation cases: the planted faults with the scores that caught them, and the useless agents."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.dialogue.proofs import CaseProof, degenerate_scores

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 100


def render_proofs(file: str, proofs: Sequence[CaseProof], console: "Console") -> None:
    """Print what the proofs of the cases of ``file`` found: problems, then a table of planted faults, then useless agents."""
    from rich import box
    from rich.table import Table

    for proof in proofs:
        for problem in proof.problems:
            console.print(f"{file}.jsonl [{proof.case_id}] {problem}", soft_wrap=True, markup=False)
    tried, caught = Counter[str](), Counter[tuple[str, str]]()
    for proof in proofs:
        tried.update(proof.tried)
        caught.update(proof.caught)
    missed = Counter(kind for proof in proofs for kind in proof.missed)
    table = Table(
        title=f"{file}: faults planted in the gold runs", title_justify="left", title_style="bold", box=box.SIMPLE
    )
    for name, justify in (("fault", "left"), ("planted", "right"), ("missed", "right"), ("caught by", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for kind, count in sorted(tried.items()):
        by = ", ".join(f"{score} {times}" for (of, score), times in caught.most_common() if of == kind)
        table.add_row(kind, str(count), str(missed[kind]), by)
    console.print(table, width=_WIDTH)
    scores = ", ".join(f"{name} {score:.0%}" for name, score in degenerate_scores(proofs).items())
    silent = sum(proof.silence_right for proof in proofs)
    wrong = sum(bool(proof.problems) for proof in proofs)
    console.print(f"{file}: useless agents pass: {scores}", width=_WIDTH)
    console.print(
        f"{file}: {len(proofs)} conversations, {sum(tried.values())} planted faults, {sum(missed.values())} missed; doing "
        f"nothing is right in {silent}; {wrong or 'no'} case{'' if wrong == 1 else 's'} with problems",
        soft_wrap=True,
    )

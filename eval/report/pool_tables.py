"""The report's tables of counts behind a figure, such as a classifier's confusion matrix."""

from collections.abc import Mapping

from eval.report.conclusions import results_of
from eval.spine.cases import Case
from eval.spine.pool import PoolTable, TabledPool
from eval.spine.results import Evaluation
from eval.spine.suite import Suite


def pool_tables(evaluation: Evaluation, suite: Suite, cases: Mapping[str, Case]) -> list[tuple[str, PoolTable]]:
    """Return each pair's tables with the pair's name; one that several figures share stands there once."""
    from eval.verdict.pooled import pooled  # late: scipy takes 0.3 s

    found: list[tuple[str, PoolTable]] = []
    pools = [suite.pools[spec.score] for spec in suite.metrics if spec.kind == "pooled"]
    for pair in evaluation.pairs:
        known = [item for item in results_of(pair) if item.case_id in cases]
        for pool in pools:
            if not isinstance(pool, TabledPool):
                continue
            side = pooled(pool, known, cases)
            shown = (pair.pair_name, pool.table(side.names, side.counts.sum(axis=0)))
            if side.case_ids and shown not in found:
                found.append(shown)
    return found

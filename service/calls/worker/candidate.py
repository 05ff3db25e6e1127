"""A rollout's candidate beside production: which pair scores a call, what is counted of it, and scorecards that nobody sees."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import anyio.to_thread

from service.calls.keys import shadow_key
from service.calls.store.objects import TenantResults
from service.core.release.served import ServedPair
from service.core.run.task import TaskContext, TaskResult
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.card import Scorecard
from service.rollouts.control import RolloutControl
from service.rollouts.live_counts import Observation
from service.rollouts.shadow import Shadow, ShadowKeeping
from service.rollouts.shadow_record import ShadowRecord

# The gate demands that nine quotes in ten are found (`quotes_verified`): of a pair at that bound, one call in fifteen with ten
# quotes is beyond this.
_MOST_UNVERIFIED = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRollout:
    """The rollout of scorecards as a worker follows it; counts and stops are shared with all workers and the service."""

    control: RolloutControl
    shadow: Shadow
    results: Callable[[str], TenantResults]
    now: Callable[[], datetime]

    def choose(self, inputs: ScorecardInputs, production: ServedPair) -> ServedPair:
        """Return the pair that scores a call: the candidate for its share of the calls, else ``production``.

        A call keeps its side when it is tried again. A tenant whose pair is not the released one takes no part.
        """
        if self._takes_part(production):
            return self.control.choose(TASK.unit(inputs))
        return production

    def count(self, served: ServedPair, result: TaskResult) -> None:
        """Count what came of a call that ``served`` scored."""
        self.control.observe(served.pair.digest, _observation(result))

    def beside(self, inputs: ScorecardInputs, context: TaskContext, result: TaskResult, production: ServedPair) -> None:
        """Have the candidate score a share of production's calls, too; its scorecard is kept for `omni shadow report` only."""
        candidate = self.control.shadow(TASK.unit(inputs)) if self._takes_part(production) else None
        if candidate is None:
            return
        results = self.results(inputs.tenant)
        key = shadow_key(inputs.tenant, inputs.call_id, candidate.rollout.sequence)

        def put(record: ShadowRecord) -> None:
            results.put(key, record.model_dump_json())

        # The transcript is redacted already, and stays with its tenant: under its prefix, its tag and its key.
        keeping = ShadowKeeping(inputs=inputs, put=put)
        self.shadow.submit(TASK, inputs, context, result, candidate, now=self.now(), keeping=keeping)

    async def close(self) -> None:
        """Wait for the shadows, and send the last counts to the other processes."""
        await self.shadow.drain()
        self.control.stop()
        await anyio.to_thread.run_sync(lambda: self.control.tick(look=False))

    def _takes_part(self, production: ServedPair) -> bool:
        return self.control.choose(None).pair.digest == production.pair.digest


def _observation(result: TaskResult) -> Observation:
    """Return the figures of a call that a rollout counts.

    A scorecard without a score counts as degraded, and one with too many quotes that nobody said as guarded. What people
    overrule is not counted: they mostly record what is wrong, so a share of it would mean nothing.
    """
    card = None if result.output is None else Scorecard.model_validate_json(result.output)
    return Observation(
        latency_ms=result.latency_ms,
        error=result.failure is not None,
        degraded=result.degraded or (card is not None and card.status == "incomplete"),
        guarded=bool(result.guarded) or (card is not None and _is_invented(card)),
        cost_usd=None if result.cost is None else float(result.cost.metered_usd),
    )


def _is_invented(card: Scorecard) -> bool:
    quoted = [item.evidence for item in card.criteria if item.quote]
    return bool(quoted) and quoted.count("unverified") > _MOST_UNVERIFIED * len(quoted)

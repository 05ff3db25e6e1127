"""Builds an insights request's reuse scope (before the answer) and its stored record (after)."""

from collections.abc import Mapping
from typing import Any

from service.answers_kept.record import SeenInteraction, SummaryRecord
from service.answers_kept.reuse import ReuseOutcome, ReuseScope
from service.core.release.served import RolloutArm
from service.core.tasks.summarize import SummarizeInputs
from service.core.unit.interaction import HistoryFilter
from service.core.unit.pair import Pair
from service.interactions.reader import InteractionPage
from service.warehouse.events import SCHEMA_VERSION

_REASON = "contact_reason"


def reuse_scope(
    asked: HistoryFilter, *, account_number: str, initial_contact_id: str, ivr_intent: str, pair: Pair
) -> ReuseScope:
    """Return the fields that must equal an earlier request's for its summary to be reused."""
    return ReuseScope(
        account_number=account_number,
        initial_contact_id=initial_contact_id,
        max_history_days=asked.max_history_days,
        max_interactions=asked.max_interactions,
        channel_filter=asked.channel_filter,
        pair_digest=pair.digest,
        # With the contact reason in the prompt, the summary depends on it.
        reason=ivr_intent if any(_REASON in prompt.variables for prompt in pair.prompts) else "",
    )


def summary_record(
    response: Mapping[str, Any],
    inputs: SummarizeInputs,
    page: InteractionPage,
    answered: ReuseOutcome,
    *,
    client: str,
    rollout_arm: RolloutArm,
    environment: str,
) -> SummaryRecord:
    """Return the record to keep of ``response``, the fields of an answer as plain values."""
    result = answered.result
    fields = {name: response[name] for name in SummaryRecord.model_fields if name in response}
    return SummaryRecord(
        **fields,
        ivr_intent=inputs.ivr_intent,
        arm=result.arm,
        reused_from=answered.reused_from,
        reuse_key=answered.reuse_key,
        client=client,
        rollout_arm=rollout_arm,
        environment=environment,
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        prompt_cache_write_tokens=result.usage.cache_write_tokens,
        guard_findings=result.guard_findings,
        guard_kinds=tuple(sorted(result.guarded)),
        repaired=result.repaired,
        schema_version=SCHEMA_VERSION,
        query=page.query,
        interactions=tuple(SeenInteraction.of(item) for item in page.interactions),
    )

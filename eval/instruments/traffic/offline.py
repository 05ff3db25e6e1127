"""Writes the simulated weeks' records to one file without running a service, for statistics over many seeds."""

import random
import shlex
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from eval.instruments.traffic.plan import FEEDBACK_AFTER, TRANSFER_AFTER, Contact, TrafficOptions, TrafficPlan
from eval.instruments.traffic.releases import FIRST_STEP, LATENCY_MS, SECOND_STEP, TASK
from eval.instruments.traffic.run import plan_traffic, traffic_folder
from eval.instruments.traffic.stories import Episode
from eval.instruments.traffic.truth import Opinion, opinion, summary_of, write_truth
from figures.command_line import omni
from service.answers_kept.record import FeedbackRecord, SeenInteraction, SummaryRecord, utc_text
from service.core.llm.pricing import estimated_tokens
from service.core.tasks.summarize.history import history_text
from service.core.unit.cards import ModelCards
from service.kit.frame.canonical import sha256_hex
from service.kit.settings import Settings
from service.loading.objects import ReleaseRecord
from service.warehouse.events import SCHEMA_VERSION

_MODEL = "amazon.nova-micro-v1:0"
_PREFIX_TOKENS = 1300  # tokens of the pairs' system message
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:omni-channel-insights:traffic")


def write_offline(options: TrafficOptions, settings: Settings) -> list[str]:
    """Write every record of the weeks to one JSON Lines file; return the lines to print about it."""
    plan = plan_traffic(options, settings)
    folder = traffic_folder(settings)
    write_truth(plan, folder / "truth.json")
    path = folder / "records.jsonl"
    counts: dict[str, int] = {}
    with path.open("w", encoding="utf-8") as file:
        for record in records(plan, settings):
            counts[type(record).__name__] = counts.get(type(record).__name__, 0) + 1
            file.write(record.model_dump_json() + "\n")
    return [
        "written: " + ", ".join(f"{count} {name}" for name, count in counts.items()),
        f"To load the file, with the local AWS running ({omni('up')}): {omni('load-events', '--bulk', shlex.quote(str(path)))}",
    ]


def records(plan: TrafficPlan, settings: Settings) -> Iterator[BaseModel]:
    """Yield summaries, ratings and releases in the form that the service stores; no model and no clock is involved."""
    prices = ModelCards.load(settings.prompts_dir / "models.yaml").get(_MODEL).prices
    assert prices is not None
    steps = {1: (FIRST_STEP, plan.options.start), 2: (SECOND_STEP, plan.options.released_at)}
    for number, (step, at) in steps.items():
        yield ReleaseRecord(
            task=TASK,
            environment="local",
            sequence=number,
            kind="promote",
            pair=step.pair,
            pair_digest=sha256_hex(step.pair),
            prompt_version="v1.0.0",
            registry_version=number,
            released_at=at,
            released_by="traffic",
            why=step.why,
            attestation_digest=sha256_hex(f"attestation of {step.pair}"),
            schema_version=SCHEMA_VERSION,
        )
    told: dict[tuple[int, str], tuple[str, int, int]] = {}
    for contact in plan.contacts:
        episode = plan.episodes[contact.episode]
        version = 2 if contact.at > plan.options.released_at else 1
        pair = steps[version][0].pair
        if (contact.episode, pair) not in told:
            text = summary_of(episode, pair)
            told[contact.episode, pair] = (
                text,
                estimated_tokens(history_text(episode.visible)) + _PREFIX_TOKENS,
                estimated_tokens(text),
            )
        text, read, written = told[contact.episode, pair]
        cost = (Decimal(str(prices.input)) * read + Decimal(str(prices.output)) * written) / 1_000_000
        record = _record(contact, episode, text, pair, version, plan.options, {"in": read, "out": written}, cost)
        yield record
        if contact.transfer:
            yield _transfer(record, contact)
        said = opinion(contact, episode, text, plan.options)
        if said is not None:
            yield _verdict(record, said, contact.at + FEEDBACK_AFTER)


def _record(
    contact: Contact,
    episode: Episode,
    text: str,
    pair: str,
    version: int,
    options: TrafficOptions,
    tokens: Mapping[str, int],
    cost: Decimal,
) -> SummaryRecord:
    draws = random.Random(f"latency {options.seed} {contact.number}")
    inputs = episode.inputs
    moved = episode.moved(contact.at, contact.gap)
    visible = inputs.model_copy(update={"interactions": tuple(moved), "as_of": contact.at}).visible()
    return SummaryRecord(
        unique_process_id=_id(contact, "process"),
        request_id=f"req-{_id(contact, 'request').replace('-', '')[:12]}",
        account_number=contact.account_number,
        contact_id=contact.contact_id,
        initial_contact_id=contact.contact_id,
        ivr_intent=episode.family,
        summary=text,
        date_range=f"{visible[0].timestamp.date()} to {visible[-1].timestamp.date()}" if visible else None,
        model_used="nova-micro",
        answered_by="digest",
        arm="primary",
        cache_hit=False,
        prompt_cache_read_tokens=0,
        latency_ms=round(LATENCY_MS + draws.lognormvariate(3.0, 0.5)),
        # The contacts of an hour are spread over it.
        generated_at=utc_text(contact.at + timedelta(seconds=draws.randrange(1, 240))),
        max_history_days=inputs.max_history_days,
        max_interactions=inputs.max_interactions,
        channel_filter=inputs.channel_filter,
        prompt_version="v1.0.0",
        pair=pair,
        pair_digest=sha256_hex(pair),
        registry_version=version,
        degraded=False,
        cost_usd=format(cost, "f"),
        interactions_considered=len(visible),
        interactions=tuple(SeenInteraction.of(item) for item in visible),
        client=contact.client,
        environment="local",
        input_tokens=tokens["in"],
        output_tokens=tokens["out"],
        schema_version=SCHEMA_VERSION,
    )


def _transfer(first: SummaryRecord, contact: Contact) -> SummaryRecord:
    return first.model_copy(
        update={
            "request_id": f"req-{_id(contact, 'transfer').replace('-', '')[:12]}",
            "unique_process_id": _id(contact, "transfer process"),
            "contact_id": f"{contact.contact_id}-2",
            "cache_hit": True,
            "reused_from": first.request_id,
            "latency_ms": 12,
            "generated_at": utc_text(datetime.fromisoformat(first.generated_at) + TRANSFER_AFTER),
            "cost_usd": "0",
            "input_tokens": 0,
            "output_tokens": 0,
        }
    )


def _verdict(record: SummaryRecord, said: Opinion, at: datetime) -> FeedbackRecord:
    same = record.model_dump(include=set(FeedbackRecord.model_fields) - {"schema_version"})
    return FeedbackRecord(
        **same,
        feedback_id=f"fb-{record.request_id.removeprefix('req-')}",
        feedback_timestamp=utc_text(at),
        helpful_feedback="helpful" if said.helpful else "not_helpful",
        comment=said.comment,
        edited_summary=said.edited_summary,
        schema_version=SCHEMA_VERSION,
    )


def _id(contact: Contact, what: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{contact.contact_id} {what}"))

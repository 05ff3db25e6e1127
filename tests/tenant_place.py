"""Two tenants with data in every store that can hold some, each with a word of its own, and one tenant with nothing."""

import json
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import loadable
from call_place import ACME, BRAND, add_tenant, make_form, make_place

from service.answers_kept.record import utc_text
from service.answers_kept.store import build_answer_table
from service.calls.store.rescorings import RescoringOrder, RescoringOrders
from service.calls.tenants.store import ConfiguredTenant
from service.desk.build import open_handovers
from service.desk.handover import CustomerHandover, HandoverSummary
from service.kit.aws.clients import client
from service.kit.aws.stores import CALLS
from service.kit.records.build import open_rows
from service.runtime import build_runtime

CHAIN = "chain"  # a tenant without forms and calls
TENANTS = (ACME, BRAND, CHAIN)
# What only one tenant may ever see: in its forms, its calls, and its people's reasons.
WORDS = {ACME: "zephyrine", BRAND: "quillandra", CHAIN: "morvantide"}
# Customers who wait for a person.
WAITING = {ACME: f"handover-{1:024x}", BRAND: f"handover-{2:024x}"}

# Orders to score their calls again.
ORDERED = {ACME: f"rescoring-{1:024x}", BRAND: f"rescoring-{2:024x}"}


def owned_form(tenant):
    word = WORDS[tenant]
    sections = [
        {
            "id": "all", "title": f"All {word}",
            "criteria": [
                {"id": f"{tenant}-greet", "question": f"Did the agent say good morning to {word}?", "weight": 1},
                {"id": "sorry", "question": "Was the agent sorry?", "guidance": f"As {word} wants it.", "weight": 1},
            ],
        }
    ]  # fmt: skip
    return make_form(tenant, f"{tenant}-qa", name=f"Support {word}", sections=sections)


async def make_tenants(stack, folder, name):
    """Two tenants with forms, drafts, scored calls, a failed call and overrides, and one with nothing."""
    made = await make_place(stack, folder, name)
    for tenant in (ACME, BRAND):
        word = WORDS[tenant]
        await add_tenant(made.worker, tenant, owned_form(tenant))
        head = await made.worker.forms.head(tenant, f"{tenant}-qa")
        await made.worker.forms.save_draft(head.active, edit=head.edit, who=f"lead-{word}")
        turns = [
            {"speaker": "agent", "start_s": 0.0, "text": f"Good morning, {word} speaking, how can I help you today?"},
            {"speaker": "customer", "start_s": 5.0, "text": f"I am calling about the {word} on my bill."},
        ]
        made.put(f"{tenant}/calls/{tenant}-qa/{word}.json", turns, call_date="2026-11-16T09:00:00Z")
        made.put_bytes(f"{tenant}/calls/{word}-broken.json", f"{{{word}".encode())
        keep_answer(made.settings, tenant)
        queue_customer(made.settings, tenant)
        order_rescoring(made.settings, tenant)
    made.worker.tenants.tenants.add(ConfiguredTenant(tenant=CHAIN, name=CHAIN))
    await made.worker.drain()
    reviews = build_runtime(made.settings, guarded=False).calls.reviews
    for tenant in (ACME, BRAND):
        call = scored_call(made, tenant)
        reviews.override(
            tenant, call, f"{tenant}-greet", "no", reason=f"never says {WORDS[tenant]}", who="lead", edit=None
        )
    return made


def keep_answer(settings, tenant):
    """Keep an answer of a task that a client of this tenant got."""
    record = loadable.answer(
        task="scorecard",
        request_id=f"req-{tenant}",
        client=f"desk-of-{tenant}",
        tenant=tenant,
        generated_at=utc_text(datetime.now(UTC)),
        output=f"The agent said good morning to {WORDS[tenant]}.",
    )
    with closing(client("dynamodb", settings)) as dynamodb:
        build_answer_table(settings, dynamodb=dynamodb).put(record)


def queue_customer(settings, tenant):
    """Let a customer of the tenant wait for a person; the tenant's word is in what the customer has told."""
    now = datetime.now(UTC)
    told = HandoverSummary(
        customer_query=f"a card of {WORDS[tenant]}",
        conversation_turns=1,
        handover_reason="explicit_request",
        timestamp=now,
    )
    with closing(client("dynamodb", settings)) as dynamodb:
        open_handovers(settings, lambda: now, dynamodb).enter(
            CustomerHandover(
                handover_id=WAITING[tenant],
                conversation_id=f"conv-{tenant}",
                task="assistant",
                owner=f"tenant:{tenant}",
                reason="explicit_request",
                summary=told,
                requested_at=now,
            )
        )


def order_rescoring(settings, tenant):
    """Order that the tenant's calls are scored again; the tenant's word is in who ordered it."""
    now = datetime.now(UTC)
    with closing(client("dynamodb", settings)) as dynamodb:
        RescoringOrders(open_rows(settings, CALLS, dynamodb)).add(
            RescoringOrder(
                tenant=tenant,
                rescoring_id=ORDERED[tenant],
                form_id=f"{tenant}-qa",
                form_version=2,
                from_day=None,
                to_day=None,
                most_calls=1,
                most_usd=Decimal(1),
                ordered_by=f"lead-{WORDS[tenant]}",
                ordered_at=now,
                updated_at=now,
                total=1,
                usd_per_call=None,
            )
        )


def scored_call(place, tenant):
    return next(job.call_id for job in place.worker.jobs.of(tenant) if job.scored is not None)


def stored(place):
    """Return every item and object of every store by its owner: items by their partition, objects by their key's first part."""
    found = {}
    settings = place.settings
    with closing(client("dynamodb", settings)) as dynamodb, closing(client("s3", settings)) as s3:
        for table in dynamodb.list_tables()["TableNames"]:
            for item in dynamodb.scan(TableName=table)["Items"]:
                owner = item.get("pk", {}).get("S", "none").removeprefix("TENANT#")
                if table == settings.stores.handovers_table:
                    owner = json.loads(item["text"]["S"])["owner"].removeprefix("tenant:")
                found.setdefault(owner, []).append((table, json.dumps(item, sort_keys=True)))
        for bucket in s3.list_buckets()["Buckets"]:
            for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
                owner = item["Key"].partition("/")[0]
                found.setdefault(owner, []).append((bucket["Name"], item["Key"], item["ETag"]))
    found["the warehouse"] = list(place.tables().items())
    return {owner: sorted(items) for owner, items in found.items()}

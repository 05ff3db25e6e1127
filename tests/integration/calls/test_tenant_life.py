"""A tenant's life with real stores: created, suspended, exported, deleted everywhere, and nothing of another tenant touched."""

import asyncio
import io
import json
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from call_place import ACME, BRAND
from structlog.testing import capture_logs
from tenant_place import CHAIN, WORDS, make_tenants

from service.access.control import open_access, open_changes
from service.access.errors import InvalidClient, TokenRefused
from service.answers_kept.writer import open_outbox
from service.calls.keys import job_output_key
from service.calls.tenants.store import ConfiguredTenant, TenantChanged, TenantMissing, TenantSettings
from service.conversations.model import KeptConversation
from service.conversations.store import conversations_in_tables
from service.core.unit.channel import Channel
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.aws.stores import BUCKETS, TABLES
from service.kit.settings import REPO_ROOT
from service.privacy.erasure.tables import SearchedTable
from service.privacy.tenants.build import build_life_cycle
from service.privacy.tenants.export import write_tenant
from service.privacy.tenants.life_cycle import TenantChangeRefused
from service.privacy.tenants.spending import spending_of
from service.warehouse import open_warehouse
from service.warehouse.events import CALL_EVENTS, CallEvent
from service.warehouse.rows import to_table

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
NOW = datetime.now(UTC)


@pytest.fixture
async def place(local_aws, tmp_path):
    made = await make_tenants(local_aws(store_timeout_s=20.0, redactor="patterns"), tmp_path, "life")
    for tenant in (ACME, BRAND):
        await scatter(made, tenant)
    return made


async def scatter(place, tenant):
    """Put a tenant's word also where no call has left it: a conversation, an answer on its way, a transcription, a letter."""
    import loadable

    settings, word = place.settings, WORDS[tenant]
    kept = KeptConversation.begun(id=f"conv-{tenant}", task="assistant", channel=Channel.CHAT, at=NOW)
    kept = kept.placed(kept.message("customer", "m1", f"a card of {word}", NOW))
    with closing(client("dynamodb", settings)) as dynamodb, closing(client("s3", settings)) as s3:
        queries = DynamoQueries.beside(dynamodb, settings)
        store = conversations_in_tables(queries, settings, scope="local", kept_s=3600, timeout_s=10)
        await store.put(f"assistant/tenant:{tenant}/conv-{tenant}", kept, over=None)
        await queries.aclose()
        waiting = loadable.answer(
            task="scorecard", request_id=f"req-waiting-{tenant}", tenant=tenant, client="x", output=f"of {word}"
        )
        dynamodb.put_item(TableName=settings.summaries.outbox_table, Item=open_outbox(settings, None).stored(waiting))
        for key, text in (
            (job_output_key(tenant, "call-1"), {"said": word}),
            (f"_unknown/dead/unknown_tenant/{word}.json", {"object_key": f"{tenant}/calls/{word}.json", "etag": "e"}),
        ):
            s3.put_object(Bucket=settings.calls.results_bucket, Key=key, Body=json.dumps(text).encode())
        s3.put_object(Bucket=place.worker.inputs.bucket, Key=f"{tenant}/Calls/{word}", Body=word.encode())
        spool = settings.spool_folder
        spool.mkdir(parents=True, exist_ok=True)
        (spool / f"{word}.json").write_text(json.dumps({"tenant": tenant, "output": word}), encoding="utf-8")


def everything(place):
    """Return every item, every version of every object, every row and every file of the state folder, as texts by place."""
    settings, names, found = place.settings, place.settings.flat(), []
    with closing(client("dynamodb", settings)) as dynamodb, closing(client("s3", settings)) as s3:
        for shape in TABLES:
            items = dynamodb.scan(TableName=names[shape.setting])["Items"]
            found += [(names[shape.setting], json.dumps(item, sort_keys=True)) for item in items]
        for shape in BUCKETS:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=names[shape.setting]):
                for one in page.get("Versions", ()):
                    body = s3.get_object(Bucket=names[shape.setting], Key=one["Key"])["Body"].read()
                    found.append((names[shape.setting], one["Key"] + body.decode(errors="replace")))
    for path in settings.state_dir.rglob("*"):
        if path.is_file():
            found.append((str(path), path.read_bytes().decode("latin-1")))
    return found


def traces(place, tenant, but=()):
    marks = (WORDS[tenant], f"TENANT#{tenant}", f"tenant:{tenant}", f"{tenant}/calls", f'"{tenant}"')
    return sorted(
        {(where, mark) for where, text in everything(place) for mark in marks if mark in text and where not in but}
    )


@pytest.fixture
def cycle(place):
    return replace(build_life_cycle(place.settings), sleep=lambda seconds: None)


def warehouse(place):
    return str(place.settings.warehouse_file)


@pytest.mark.acceptance("tenant-05")
def test_a_tenant_is_deleted_everywhere_and_another_one_is_untouched(place, cycle):
    others, rows = traces(place, BRAND), place.tables()
    assert len({where for where, _ in traces(place, ACME)}) >= 9
    changes = open_changes(place.settings)
    changes.add_client("lead-acme", ["calls", "forms"], tenant=ACME)
    cycle.suspend(ACME, by="ops", why="contract ended")
    before = cycle.found(ACME)
    receipt = cycle.delete(ACME, by="ops", why="contract ended, case 4711")

    assert receipt.left == {}
    assert receipt.deleted == {one.name: len(records) for one, records in before.items() if records}
    assert receipt.searched == len(before)
    assert receipt.clients == ("lead-acme",)
    shared = place.settings.stores.shared_table
    assert traces(place, ACME, but=(shared,)) == []
    told = [text for where, text in everything(place) if where == shared and ACME in text]
    assert all("tenant-ledger" in text or "lead-acme" in text for text in told)
    assert not [text for text in told if WORDS[ACME] in text]
    assert sorted(set(others) - set(traces(place, BRAND))) == []
    for event in CALL_EVENTS:
        assert place.tables()[event.table].splitlines()[1:] == [
            line for line in rows[event.table].splitlines()[1:] if line.startswith(BRAND)
        ]
    assert cycle.ledger.receipts(ACME) == [receipt]
    with pytest.raises(TenantMissing):
        cycle.delete(ACME, by="ops", why="again")
    # The id is free again, and begins with nothing but the default form.
    asyncio.run(cycle.create(ACME, TenantSettings(name="Acme"), by="ops"))
    assert [head.form_id for head in asyncio.run(cycle.forms.heads(ACME))] == ["default"]


def test_an_active_or_busy_tenant_is_not_deleted(place, cycle):
    with pytest.raises(TenantChangeRefused, match="'acme' is active; suspend it first: omni tenant suspend acme"):
        cycle.delete(ACME, by="ops", why="x")
    cycle.suspend(ACME, by="ops", why="x")
    source = next(iter(place.worker.jobs.of(BRAND))).source
    held = replace(source, tenant=ACME, key="acme/calls/new.json", etag="e")
    place.worker.jobs.claim(held, owner="w", now=cycle.now(), lease=timedelta(minutes=15))
    with pytest.raises(TenantChangeRefused, match="1 calls of tenant 'acme' are held by workers"):
        cycle.delete(ACME, by="ops", why="x")
    assert cycle.get(ACME).state == "suspended"
    assert place.jobs(ACME)["new.json"].state == "received"


@pytest.mark.acceptance("tenant-05")
def test_an_interrupted_deletion_is_finished_by_the_next_one(place, cycle, monkeypatch):
    """Killed before each place in turn, at last in the middle of the tenant's own items: the rest is found all the same."""
    cycle.suspend(ACME, by="ops", why="x")

    class Killed(Exception):
        pass

    def limited(delete, left):
        def run(searched, records):
            for one in records:
                if not left[0]:
                    raise Killed
                left[0] -= 1
                delete(searched, [one])

        return run

    kinds = {type(one) for one in cycle.eraser(ACME).places}
    real = {kind: kind.delete for kind in kinds}
    for allowed in (0, 1, 7, 13, 20, 26, 32, 40):
        left = [allowed]
        with monkeypatch.context() as patched:
            for kind in kinds:
                patched.setattr(kind, "delete", limited(real[kind], left))
            try:
                cycle.delete(ACME, by="ops", why="x")
            except Killed:
                assert cycle.access.is_suspended(ACME)
                continue
            break
    else:
        assert cycle.delete(ACME, by="ops", why="x").left == {}
    assert SearchedTable in kinds
    assert traces(place, ACME, but=(place.settings.stores.shared_table,)) == []
    assert not cycle.access.is_suspended(ACME)


@pytest.mark.acceptance("tenant-06")
def test_a_suspended_tenants_clients_are_refused_until_it_is_back(place, cycle):
    changes = open_changes(place.settings)
    secrets = {tenant: changes.add_client(f"lead-{tenant}", ["calls"], tenant=tenant) for tenant in (ACME, BRAND)}
    access = open_access(place.settings)
    tokens = {tenant: access.tokens.issue(f"lead-{tenant}", secrets[tenant], None).text for tenant in secrets}
    cycle.suspend(ACME, by="ops", why="unpaid")
    cycle.suspend(ACME, by="ops", why="unpaid")  # a repeat
    late = changes.add_client("late", ["calls"], tenant=ACME)
    access.refresh()
    with pytest.raises(TokenRefused, match="its tenant is suspended"):
        access.verify(f"Bearer {tokens[ACME]}", "calls")
    for name, secret in ((f"lead-{ACME}", secrets[ACME]), ("late", late)):
        with pytest.raises(InvalidClient):
            access.tokens.issue(name, secret, None)
    assert access.verify(f"Bearer {tokens[BRAND]}", "calls").tenant == BRAND
    with pytest.raises(TenantMissing):
        cycle.suspend("nobody", by="ops", why="x")
    assert not cycle.access.is_suspended("nobody")
    cycle.resume(ACME, by="ops", why="paid")
    access.refresh()
    assert access.verify(f"Bearer {tokens[ACME]}", "calls").tenant == ACME
    cycle.tenants.move(ACME, "suspended", from_states=("active",), by="o", why="x", now=NOW)
    cycle.begin_deletion(ACME, by="ops", why="x")
    with pytest.raises(TenantChanged):
        cycle.resume(ACME, by="ops", why="no way back")
    with pytest.raises(TenantChangeRefused, match="is being deleted"):
        asyncio.run(cycle.create(ACME, TenantSettings(name="Acme"), by="ops"))


@pytest.mark.acceptance("tenant-05")
def test_an_export_holds_the_tenants_words_and_nobody_elses(place, cycle):
    found = build_life_cycle(place.settings, read_only=True).found(ACME)
    out = io.BytesIO()
    with closing(client("s3", place.settings)) as s3:
        count = write_tenant(out, found, s3=s3, recordings=True)
    with zipfile.ZipFile(out) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert count == sum(json.loads(texts["counts.json"]).values()) == sum(map(len, found.values()))
    assert not [name for name, text in texts.items() if WORDS[BRAND] in text or BRAND in text]
    objects = [name for name in texts if name.startswith("objects/")]
    assert [name for name in objects if "/transcripts/" in name and WORDS[ACME] in texts[name]]
    assert [name for name in objects if name.startswith(f"objects/{place.settings.calls.bucket}/acme/calls/")]
    kinds = {where for where, _ in traces(place, ACME)} - {str(place.settings.warehouse_file)}
    assert len([name for name in texts if WORDS[ACME] in texts[name]]) >= len(kinds)


@pytest.mark.acceptance("event.TENANT_CHANGED")
def test_a_tenant_is_created_with_a_form_once_or_refused(place, cycle):
    settings = TenantSettings(name="Fresh", regions=("us-east-1",), tags={"cost-center": "4711"})
    with capture_logs() as logs:
        made = asyncio.run(cycle.create("fresh", settings, by="ops"))
    assert made == cycle.get("fresh")
    assert [line["state"] for line in logs if line["event"] == "TENANT_CHANGED"] == ["created"]
    assert (made.created_by, made.state, made.tags) == ("ops", "active", {"cost-center": "4711"})
    (head,) = asyncio.run(cycle.forms.heads("fresh"))
    assert (head.form_id, head.active.version, len(list(head.active.criteria()))) == ("default", 1, 5)
    again = asyncio.run(cycle.create("fresh", TenantSettings(name="Other"), by="ops"))
    assert (again, len(asyncio.run(cycle.forms.heads("fresh")))) == (made, 1)
    assert asyncio.run(cycle.create(CHAIN, TenantSettings(name="Chain"), by="ops")).name == CHAIN
    assert [head.form_id for head in asyncio.run(cycle.forms.heads(CHAIN))] == ["default"]
    for wrong, why in (
        ({"regions": ["eu"]}, "keeps data in us-east-1, and tenant 'far' allows eu"),
        ({"model": "no-such-model"}, "has no card"),
        ({"model": "us.meta.llama3-2-3b-instruct-v1:0", "regions": ["us-east-1"]}, "is called in us"),
    ):
        with pytest.raises(TenantChangeRefused, match=why):
            asyncio.run(cycle.create("far", TenantSettings.model_validate({"name": "Far"} | wrong), by="ops"))
        with pytest.raises(TenantChangeRefused, match=why.replace("'far'", "'fresh'")):
            cycle.configure("fresh", TenantSettings.model_validate({"name": "Far"} | wrong))
    for name in ("tmp", "calls", "2026", "larkmead-"):
        with pytest.raises(TenantChangeRefused, match=f"no tenant can be called '{name}'"):
            asyncio.run(cycle.create(name, TenantSettings(name="Far"), by="ops"))
        assert cycle.tenants.get(name) is None
    assert cycle.tenants.get("far") is None
    cycle.tenants.add(ConfiguredTenant(tenant="calls", name="Created by an earlier version"))
    assert asyncio.run(cycle.create("calls", TenantSettings(name="Far"), by="ops")).tenant == "calls"


@pytest.mark.acceptance("tenant-07")
def test_a_months_cost_stands_beside_the_budget(place, cycle):
    cycle.configure(ACME, TenantSettings(name=ACME, monthly_budget_usd="0.05"))
    cycle.configure(BRAND, TenantSettings(name=BRAND, monthly_budget_usd="0.01"))
    with closing(open_warehouse(place.settings)) as warehouse:
        kept = warehouse.query("SELECT * FROM omni_calls WHERE tenant_id = :tenant", {"tenant": ACME}).iloc[0].to_dict()
        rows = [
            {"tenant_id": ACME, "call_id": "call-1", "cost_usd": Decimal("0.03")},
            {"tenant_id": ACME, "call_id": "call-2", "cost_usd": Decimal("0.011")},
            {
                "tenant_id": ACME,
                "call_id": "call-3",
                "cost_usd": Decimal("5"),
                "scored_at": datetime(2026, 12, 1, tzinfo=UTC),
            },
            {"tenant_id": BRAND, "call_id": "call-4", "cost_usd": Decimal("0.02")},
            {"tenant_id": BRAND, "call_id": "call-5", "cost_usd": None},
        ]
        at = {
            "scored_at": datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
            "call_date": datetime(2026, 11, 30, tzinfo=UTC),
        }
        plain = {name: None if value != value else value for name, value in kept.items()}
        plain |= dict.fromkeys(("total_score", "max_score", "percentage"))  # which a frame makes floats of
        warehouse.merge(CallEvent, to_table(CallEvent, [plain | at | row for row in rows]))
        spent = partial(spending_of, warehouse, cycle.tenants.all(), minute_usd=None)
        found = {one.tenant: one for one in spent(date(2026, 11, 5))}
        december = {one.tenant: one for one in spent(date(2026, 12, 31))}
    assert (found[ACME].cost_usd, found[ACME].is_over, found[BRAND].is_over) == (Decimal("0.041"), False, True)
    assert found[ACME].line().endswith("models 0.0410 USD; 0.0410 of 0.05 USD: near")
    assert ", and 1 calls without a price; 0.0200 of 0.01 USD: OVER BUDGET" in found[BRAND].line()
    assert found[CHAIN].line() == "chain: 0 calls, models 0.0000 USD; no budget"
    assert (december[ACME].cost_usd, december[ACME].is_over) == (Decimal(5), True)


@pytest.mark.acceptance("tenant-07")
def test_transcription_counts_in_the_month_of_the_call_and_never_at_an_unknown_price(place, cycle):
    cycle.configure(ACME, TenantSettings(name=ACME, monthly_budget_usd="0.30"))
    november, december = datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    heard = {
        "transcriber": "amazon-transcribe",
        "call_date": november,
        "scored_at": november,
        "cost_usd": Decimal("0.02"),
    }
    with closing(open_warehouse(place.settings)) as warehouse:
        kept = warehouse.query("SELECT * FROM omni_calls WHERE tenant_id = :tenant", {"tenant": ACME}).iloc[0].to_dict()
        plain = {name: None if value != value else value for name, value in kept.items()}
        plain |= dict.fromkeys(("total_score", "max_score", "percentage"))  # which a frame makes floats of
        rows = [
            heard | {"call_id": "call-1", "duration_s": 600.0},
            heard | {"call_id": "call-2", "duration_s": 3.0},  # is billed as 15 seconds
            # Scored again in December: its model counts there, and it was heard once.
            heard | {"call_id": "call-3", "duration_s": 60.0, "scored_at": december},
            heard | {"call_id": "call-4", "duration_s": 600.0, "transcriber": "amazon-transcribe-file"},
            heard | {"call_id": "call-5", "duration_s": 600.0, "transcriber": "whisper-base.en"},
        ]
        warehouse.merge(CallEvent, to_table(CallEvent, [plain | row for row in rows]))
        spent = partial(spending_of, warehouse, cycle.tenants.all())
        priced = {one.tenant: one for one in spent(date(2026, 11, 5), minute_usd=Decimal("0.024"))}[ACME]
        unknown = {one.tenant: one for one in spent(date(2026, 11, 5), minute_usd=None)}[ACME]
        later = {one.tenant: one for one in spent(date(2026, 12, 5), minute_usd=Decimal("0.024"))}[ACME]
    assert (priced.minutes, priced.models_usd, priced.cost_usd) == (Decimal("11.25"), Decimal("0.08"), Decimal("0.35"))
    assert priced.line().endswith("transcription 0.2700 USD (11.2 minutes); 0.3500 of 0.30 USD: OVER BUDGET")
    assert (unknown.cost_usd, unknown.is_over) == (Decimal("0.08"), False)
    assert "11.2 minutes of transcription not counted (set OMNI_TRANSCRIBE_USD_PER_MINUTE)" in unknown.line()
    assert (later.minutes, later.models_usd) == (0, Decimal("0.02"))


@pytest.mark.acceptance("tenant-05")
def test_the_commands_take_a_tenant_from_nothing_to_its_receipt(place):
    import os

    settings = place.settings
    named = {
        "OMNI_STATE_DIR": str(settings.state_dir), "OMNI_AWS_ENDPOINT": settings.aws.endpoint, "OMNI_STORE_TIMEOUT_S": "20",
        "OMNI_CONFIG_TABLE": settings.stores.config_table, "OMNI_CALLS_TABLE": settings.calls.table,
        "OMNI_WAREHOUSE_PATH": str(settings.warehouse_file), "OMNI_CALLS_BUCKET": settings.calls.bucket,
        "OMNI_RESULTS_BUCKET": settings.calls.results_bucket,
    }  # fmt: skip

    def omni(*arguments, text=True):
        return subprocess.run(
            [sys.executable, "-m", "omni", "tenant", *arguments],
            env=dict(os.environ) | named, cwd=REPO_ROOT, capture_output=True, text=text, timeout=300,
        )  # fmt: skip

    made = omni("create", "fresh", "--region", "us-east-1", "--budget", "120.50", "--tag", "cost-center=4711")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("fresh: active, fresh, regions us-east-1, 120.50 USD a month, cost-center=4711\n")
    assert omni("set", "fresh", "--language", "eu").stderr.count("--language") == 1
    assert "language en-GB" in omni("set", "fresh", "--language", "en-GB", "--budget", "").stdout
    assert "is active; suspend it first" in omni("delete", "fresh", "--why", "case 1").stderr
    assert "fresh: suspended" in omni("suspend", "fresh", "--why", "case 1").stdout
    given = omni("export", "fresh", text=False)
    assert given.returncode == 0
    with zipfile.ZipFile(io.BytesIO(given.stdout)) as archive:
        assert "greet_01" in "".join(archive.read(name).decode() for name in archive.namelist())
    gone = omni("delete", "fresh", "--why", "case 1", "--by", "ops")
    assert (gone.returncode, "places searched again, 0 records left" in gone.stdout) == (0, True), gone.stderr
    assert "left of" in omni("receipts").stdout
    assert "fresh" not in omni("list").stdout
    assert "acme: 1 calls, models 0.0000 USD; no budget" in omni("budget").stdout
    assert omni("suspend", "fresh", "--why", "x").returncode == 2
    refused = omni("create", "tmp")
    assert (refused.returncode, "no tenant can be called 'tmp'" in refused.stderr) == (2, True), refused.stderr
    assert "tmp" not in omni("list").stdout

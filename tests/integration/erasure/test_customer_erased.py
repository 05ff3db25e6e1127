"""A customer in every store: exported, deleted, and searched for afterwards in every item, object, row and file."""

import asyncio
import io
import json
import os
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import loadable
import pytest
from role_rights import RightsNeeded, Role

from service.access.control import account_key
from service.answers_kept.answer_table import AnswerTable, WithoutErased
from service.answers_kept.archive import Archive
from service.answers_kept.store import build_table_and_archive
from service.answers_kept.writer import answer_spool, answer_writer, open_outbox
from service.audit.record import AuditEntry, AuditRecord, KeptFinding
from service.audit.stores import AuditObjects, FindingTable
from service.calls.keys import NO_TENANT
from service.channels.phone.build import open_voicemails
from service.channels.phone.voicemail import Voicemail
from service.conversations.model import KeptConversation
from service.conversations.store import ConversationChanged, ConversationFound, conversations_in_tables
from service.core.unit.channel import Channel
from service.desk.build import open_callbacks
from service.desk.callback import CallbackBook
from service.desk.handover import CustomerHandover, HandoverStore, HandoverSummary
from service.features.build import feature_table
from service.features.compute import FeatureWriter
from service.features.definitions import read_views
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.aws.stores import BUCKETS, FINDINGS, HANDOVERS, TABLES
from service.kit.records.dynamo import DynamoRows
from service.kit.records.shared_state import open_shared_state
from service.kit.records.tombstones import erase_from, open_tombstones
from service.kit.telemetry.fields import account_hash, pseudonym_of, set_account_key
from service.loading.build import build_loader
from service.loading.customers.intake import CustomerIntake
from service.loading.customers.record import ArrivedEvent
from service.privacy.erasure.build import build_eraser
from service.privacy.erasure.eraser import ErasureOrder
from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.ledger import ErasureLedger
from service.privacy.erasure.places import inventory
from service.rollouts.shadow_record import AnswerRecord, ShadowRecord
from service.warehouse import open_warehouse
from service.warehouse.events import CallCriterionEvent, CallEvent, CallOverrideEvent
from service.warehouse.rows import to_table

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NOW = datetime.now(UTC) - timedelta(hours=1)
AT = NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Customer:
    """All ids and words of one customer, none of which another one has; ``word`` is in every text about them."""

    def __init__(self, number, word):
        self.number, self.word = number, word
        self.account, self.phone = f"77{number}0814451", f"+44770090{number}123"
        self.contact, self.conversation = f"contact-{number}-{word}", f"conv-{number}-{word}"
        self.process, self.call_key = f"proc-{number}-{word}", f"acme/calls/contact-{number}-{word}_20261122.wav"
        self.requests = [f"req-{number}{n:011x}" for n in range(4)]

    @property
    def marks(self):
        """What must be nowhere afterwards; hashes and pseudonyms lead to the customer, too, for whoever has the key."""
        known = (self.account, self.contact, self.conversation)
        keyed = [make(one) for one in known for make in (account_hash, pseudonym_of)]
        return [self.word, self.account, self.phone[1:], *keyed, *self.requests]

    def text(self, of):
        return f"The {of} of {self.word}, who disputes the fee for the premium card and waits for an answer."


GONE, STAYS = Customer("413", "zerfelius"), Customer("528", "quillonby")


@pytest.fixture(scope="module")
def settings(local_aws):
    made = local_aws(store_timeout_s=20.0, warehouse_redactor="patterns", records_bucket="connect-records")
    client("s3", made).create_bucket(Bucket="connect-records")
    set_account_key(account_key(made))
    return made


def summary(who, request=0, **changes):
    at = (NOW + timedelta(seconds=request)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "request_id": who.requests[request], "account_number": who.account, "contact_id": who.contact, "generated_at": at,
        "unique_process_id": f"{who.process}-{request}", "initial_contact_id": who.contact, "summary": who.text("summary"),
    }  # fmt: skip
    return loadable.summary(**fields | changes)


def answer(who):
    session = pseudonym_of(who.conversation)
    return loadable.answer(
        request_id=who.requests[1], customer=account_hash(who.conversation), conversation=session, generated_at=AT,
        persons=(pseudonym_of(who.account),), output=who.text("answer"), inputs={"message": who.text("question")},
    )  # fmt: skip


def audit(who):
    same = {"session_id": pseudonym_of(who.conversation), "correlation_id": who.requests[1], "task": "assistant"}
    entry = AuditEntry(
        event_id=f"{who.requests[1]}-00", timestamp=NOW, level="INFO", contact_id=pseudonym_of(who.contact), user_id=None,
        event_type="user_input", environment="local", **same,
        data={"transcript": who.text("words"), "input_mode": "text", "confidence": None},
    )  # fmt: skip
    finding = KeptFinding(
        log_id=f"{who.requests[1]}-f01", timestamp=NOW, user_query=who.text("query"), tool_name=None, tool_results=None,
        model_response=who.text("reply"), hallucination_type="unsupported", severity="high", action_taken="logged",
        validation_details="a fee", **same,
    )  # fmt: skip
    return AuditRecord(
        audit_id=f"{who.requests[1]}-a", recorded_at=NOW, events=(entry,), findings=(finding,), schema_version=1
    )


def shadow(who):
    shown = AnswerRecord(
        pair_digest="d", output=who.text("summary"), arm="primary", model="m", answered_by="m", latency_ms=1.0,
        cost_usd=None, failure=None, guarded=(), repaired=False,
    )  # fmt: skip
    inputs = {"account_number": "id-random", "text": who.text("history")}
    return ShadowRecord(
        id=who.number + "0", at=NOW, task="summarize", rollout=1, inputs=inputs, shown=shown, unseen=shown
    )


def conversation(who):
    verified = {"account_number": who.account, "contact_id": who.contact}
    begun = KeptConversation.begun(
        id=who.conversation, task="assistant", owner="tenant:acme", channel=Channel.CHAT, at=NOW, session=verified
    )
    return begun.placed(begun.message("customer", "m1", who.text("message"), NOW))


async def keep_conversation(settings, who, *, over=None):
    queries = DynamoQueries.beside(client("dynamodb", settings), settings)
    store = conversations_in_tables(queries, settings, scope="local", kept_s=3600, timeout_s=10)
    try:
        key = f"assistant/tenant:acme/{who.conversation}"
        await store.put(key, conversation(who), over=over)
    finally:
        await queries.aclose()


def fill(settings, who):
    """Put a customer into every place that the inventory searches."""
    dynamodb, s3, stores = client("dynamodb", settings), client("s3", settings), settings.stores
    table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
    for request in (0, 2):
        table.put(summary(who, request))
        archive.put(summary(who, request))
    answers = AnswerTable(dynamodb, settings.summaries.answers_table, ttl=timedelta(days=7))
    answers.put(answer(who))
    archive.put(answer(who))
    given = loadable.feedback(of=summary(who), feedback_id=f"fb-{who.number}", comment=who.text("comment"))
    about = loadable.answer_verdict(of=answer(who), feedback_id=f"afb-{who.number}", comment=who.text("comment"))
    for record in (given, about):
        archive.put_json(record.object_key, record.model_dump_json())
    AuditObjects(archive).put(audit(who))
    FindingTable(DynamoRows(dynamodb, FINDINGS, stores.findings_table, timeout_s=10)).put(audit(who))
    archive.put_json(shadow(who).object_key, shadow(who).model_dump_json())
    damaged = f"omni-channel/processed/year=2026/month=11/day=22/hour=10/{who.requests[3]}.json"
    archive.put_json(damaged, json.dumps({"account_number": who.account, "request_id": who.requests[3], "x": who.word}))
    waiting = open_outbox(settings, dynamodb).stored(summary(who, 3))
    dynamodb.put_item(TableName=settings.summaries.outbox_table, Item=waiting)
    answer_spool(settings.spool_folder, max_bytes=10**7).add(summary(who, 3))
    held_up = settings.state_dir / "audit" / "findings"
    held_up.mkdir(parents=True, exist_ok=True)
    (held_up / f"{who.number}.json").write_text(audit(who).model_dump_json(), encoding="utf-8")
    for name, line in (
        ("shadow", shadow(who).model_dump()),
        ("harvest", {"provenance": {"request_id": who.requests[0]}}),
    ):
        folder = settings.state_dir / name
        folder.mkdir(exist_ok=True)
        with (folder / "summarize.jsonl").open("a") as file:
            file.write(json.dumps(line | {"words": who.text(name)}, default=str) + "\n")
    asyncio.run(keep_conversation(settings, who))
    former = {"id": who.conversation, "exchanges": [{"message_id": "m1", "said": who.text("message")}]}
    item = {"conversation": f"local/assistant/tenant:acme/{who.conversation}", "text": json.dumps(former)}
    dynamodb.put_item(TableName=stores.conversations_table, Item={name: {"S": text} for name, text in item.items()})
    people(settings, who)
    call(settings, who)


def people(settings, who):
    """The customer waits for a person, for a call, and has left a message."""
    stores, dynamodb = settings.stores, client("dynamodb", settings)
    told = HandoverSummary(customer_query=who.text("wish"), conversation_turns=1, handover_reason="x", timestamp=NOW)
    handovers = HandoverStore(DynamoRows(dynamodb, HANDOVERS, stores.handovers_table, timeout_s=10), scope="local")
    handovers.add(
        CustomerHandover(
            handover_id=f"h-{who.number}", conversation_id=who.conversation, reason="x", summary=told, requested_at=NOW
        )
    )
    opened = open_callbacks(settings)
    book = CallbackBook(store=opened.store, sealer=opened.sealer, now=lambda: NOW)
    promised = (NOW, NOW + timedelta(hours=1))
    book.request(f"cb-{who.number}", who.phone, contact_id=who.contact, promised=promised)
    # Of a contact that nothing else names: only the number leads to it.
    book.request(f"cc-{who.number}", who.phone, contact_id=f"other-{who.word}", promised=promised)
    voicemails = open_voicemails(settings)
    sealed = voicemails.sealer.seal(who.phone[1:].encode(), f"vm-{who.word}")
    voicemails.store.add(
        Voicemail(
            voicemail_id=f"vm-{who.word}", instance_id="i", sealed_phone=sealed, left_at=NOW, due_at=NOW,
            conversation_id=who.conversation,
        )
    )  # fmt: skip


def call(settings, who):
    """A recording named after the contact, with its state, transcript and result."""
    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    call_id = f"call-{who.number * 8}"
    put = {"pk": "TENANT#acme", "sk": f"CALL#{call_id}", "object_key": who.call_key, "call_date": AT}
    dynamodb.put_item(TableName=settings.calls.table, Item={name: {"S": text} for name, text in put.items()})
    override = {"pk": "TENANT#acme", "sk": f"OVERRIDE#{call_id}#greeting#1", "note": who.text("note")}
    dynamodb.put_item(TableName=settings.calls.table, Item={name: {"S": text} for name, text in override.items()})
    for folder in ("acme", NO_TENANT):  # of objects that have no call's id
        letter = {"object_key": who.call_key, "etag": who.number, "detail": "the key is not that of a call"}
        s3.put_object(
            Bucket=settings.calls.results_bucket,
            Key=f"{folder}/dead/bad_key/{who.number}.json",
            Body=json.dumps(letter).encode(),
        )
    s3.put_object(Bucket=settings.calls.bucket, Key=who.call_key, Body=who.text("call").encode())
    for prefix, ending in (("call-recordings", "wav"), ("chat-transcripts", "json")):
        key = f"{prefix}/2026/11/22/{who.contact}_20261122T10:00_UTC.{ending}"
        s3.put_object(Bucket="connect-records", Key=key, Body=who.text(ending).encode())
    for key in (f"acme/2026/11/22/{call_id}.json", f"acme/transcripts/{call_id}.json", f"tmp/acme/{call_id}.json"):
        s3.put_object(Bucket=settings.calls.results_bucket, Key=key, Body=json.dumps({"said": who.word}).encode())


def everything(settings):
    """Every item, every version of every object, every row and every file's bytes, as one text."""
    names, dynamodb, s3 = settings.flat(), client("dynamodb", settings), client("s3", settings)
    found = []
    for shape in TABLES:
        items = dynamodb.scan(TableName=names[shape.setting])["Items"]
        found += [(names[shape.setting], json.dumps(item, default=str)) for item in items]
    for bucket in ("connect-records", *(names[shape.setting] for shape in BUCKETS)):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in page.get("Versions", ()):
                body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                found.append((one["Key"], one["Key"] + body.decode(errors="replace")))
    for path in settings.state_dir.rglob("*"):
        if path.is_file() and "ministack" not in path.parts:  # the local AWS, which was read above
            found.append((str(path), path.read_bytes().decode("latin-1")))
    return found


def traces(settings, who):
    """Where any mark of a customer is, but for the keyed hashes of tombstones and receipt."""
    names = settings.flat()
    told = {(names["shared_table"], account_hash(one)) for one in (who.account, who.conversation)}
    found = {(place, mark) for place, text in everything(settings) for mark in who.marks if mark in text}
    return sorted(found - told)


def ids(who):
    known = CustomerIds()
    known.learn("account", who.account)
    known.learn("phone", who.phone[1:])
    return known


def rows_of_calls(settings, who):
    call_id = f"call-{who.number * 8}"
    events = {
        CallEvent: {"call_date": NOW, "state": "done", "review": "", "turns": 2, "duration_s": 1.0, "transcriber": "t",
                    "redactor": "r", "pii_found": 0, "pair": "p", "prompt_version": "v", "registry_version": 1,
                    "model_used": "m", "latency_ms": 1, "input_tokens": 1, "output_tokens": 1, "schema_version": 1,
                    "agent_id": who.word, "source_key": f"acme/2026/11/22/{call_id}.json", "scored_at": NOW},
        CallCriterionEvent: {"criterion_id": "c", "call_date": NOW, "form_id": "f", "form_version": 1, "section": "s",
                             "question": "q", "weight": 1, "required": True, "score": 1, "evidence": "verified",
                             "scored_at": NOW},
        CallOverrideEvent: {"criterion_id": "c", "overridden_at": NOW, "form_id": "f", "form_version": 1,
                            "human_verdict": "no", "overridden_by": "lee"},
    }  # fmt: skip
    with closing(open_warehouse(settings)) as warehouse:
        for event, fields in events.items():
            row = fields | {"tenant_id": "acme", "call_id": call_id, "pair_digest": "d"}
            warehouse.merge(event, to_table(event, [row]))


def customer_events(settings, who):
    """What a tenant's system told of the customer: an event in the warehouse, one in quarantine, features, and a past message."""
    folder = settings.state_dir / "similar"
    folder.mkdir(exist_ok=True)
    past = {
        "id": f"m-{who.number}",
        "tenant": "acme",
        "customer": account_hash(who.account),
        "message": who.text("message"),
    }
    with (folder / "messages.jsonl").open("a") as file:
        file.write(json.dumps(past) + "\n")
    told = {"schema_version": 1, "tenant": "acme", "customer_id": who.account, "occurred_at": AT}
    good = told | {"event_id": f"e-{who.number}-1", "event_type": "customer", "home": {"kind": "flat"}}
    bad = told | {
        "event_id": f"e-{who.number}-2",
        "event_type": "service",
        "service": who.text("service"),
        "satisfaction": 9,
    }
    archive = Archive(client("s3", settings), settings.stores.archive_bucket)
    intake = CustomerIntake(archive=archive, open_warehouse=lambda: open_warehouse(settings))
    batch = [
        ArrivedEvent(source=f"events-{who.number}#{number}", body=json.dumps(one).encode(), arrived_at=None)
        for number, one in enumerate((good, bad))
    ]
    assert (intake.take(batch, f"events-{who.number}").loaded, len(batch)) == (1, 2)
    with closing(open_warehouse(settings)) as warehouse:
        writer = FeatureWriter(warehouse=warehouse, rows=feature_table(settings), scope="local")
        writer.compute(read_views().find("home"))


@pytest.mark.acceptance("operation-19")
def test_a_customer_is_deleted_everywhere_and_another_one_is_untouched(settings):
    loader = build_loader(settings)[0]
    loader.prepare_warehouse()
    for who in (GONE, STAYS):
        fill(settings, who)
        rows_of_calls(settings, who)
        customer_events(settings, who)
    assert loader.scan(everything=True).dead.total() == 2  # the damaged ones
    before = traces(settings, STAYS)
    eraser = replace(build_eraser(settings, "acme"), sleep=lambda seconds: None)
    found = eraser.find(ids(GONE))
    assert [place.name for place, records in found.items() if not records] == []
    assert {mark for _, mark in traces(settings, GONE)} == set(GONE.marks) - {
        GONE.phone[1:],
        account_hash(GONE.contact),
    }
    receipt = eraser.erase(ErasureOrder(account=GONE.account, tenant="acme", reason="case 1", by="dpo"), ids(GONE))
    assert (receipt.left, len(receipt.deleted)) == (0, len(eraser.places))
    assert traces(settings, GONE) == []
    assert traces(settings, STAYS) == before
    kept = ErasureLedger(open_shared_state(settings)).receipts()
    assert [one for one in kept if one.reason == "case 1"] == [receipt]


BACK = Customer("639", "ostrander")


def order(who):
    return ErasureOrder(account=who.account, tenant="acme", reason="case 2", by="dpo")


@pytest.mark.acceptance("operation-19")
def test_what_was_on_its_way_does_not_bring_a_customer_back(settings):
    fill(settings, BACK)
    loader = build_loader(settings)[0]
    loader.prepare_warehouse()
    loader.scan(everything=True)
    late_feedback = loadable.feedback(of=summary(BACK), feedback_id="fb-late")
    kept = [summary(BACK), answer(BACK), late_feedback, audit(BACK)]
    eraser = replace(build_eraser(settings, "acme"), sleep=lambda seconds: None)
    assert eraser.erase(order(BACK), ids(BACK)).left == 0

    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
    tombstones = open_tombstones(settings)
    spool = answer_spool(settings.spool_folder, max_bytes=10**7)
    writer = answer_writer(
        WithoutErased(table, tombstones), WithoutErased(archive, tombstones), spool, others_after_s=0.0
    )
    spool.add(summary(BACK, 2))  # a machine that was down comes back
    assert writer.replay() >= 1  # the other customer's waits there, too
    for record in kept:  # whatever else was held up, and every announcement of it
        archive.put_json(record.object_key, record.model_dump_json())
    assert loader.drain().dead["erased"] >= len(kept)  # their first announcements wait in the queue, too
    assert loader.scan(everything=True).dead["erased"] == 0
    archive.put_json(kept[0].object_key, kept[0].model_dump_json())  # and once more
    assert loader.drain().dead["erased"] >= 1
    writer.close()
    # An announcement of an object that is gone leaves a dead letter with the object's name: a random id that leads nowhere.
    known = {str(settings.warehouse_file)}
    left = [(place, mark) for place, mark in traces(settings, BACK) if mark not in BACK.requests]
    assert left == []
    named = {place for place, _ in traces(settings, BACK) if not place.startswith("omni-channel/dead/gone/")}
    assert named <= known
    with pytest.raises(ConversationChanged):  # a turn that had begun
        asyncio.run(keep_conversation(settings, BACK, over=ConversationFound(conversation(BACK), 1, NOW)))

    again = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    came_back = summary(BACK, 3, generated_at=again)
    assert WithoutErased(table, tombstones).put(came_back) == "written"


@pytest.mark.acceptance("operation-19")
def test_an_interrupted_deletion_goes_on_from_what_it_had_found(settings):
    who = Customer("741", "umberleigh")
    fill(settings, who)
    eraser = replace(build_eraser(settings, "acme"), sleep=lambda seconds: None)

    class Killed(Exception):
        pass

    class Breaks:
        """The last place to be deleted: the others that lead to it are gone by then."""

        def __init__(self, inner):
            self.inner, self.name, self.place = inner, inner.name, inner.place

        def find(self, ids):
            return self.inner.find(ids)

        def delete(self, found):
            raise Killed

    # The audit is found by a conversation alone, which the conversations table tells.
    last = [Breaks(one) if "omni-channel/audit" in one.name else one for one in eraser.places]
    teaches = [one for one in last if not isinstance(one, Breaks)]
    for one in eraser.places:
        if one.name == f"table {settings.stores.messages_table}":
            known = ids(who)
            eraser.find(known)
            ErasureLedger(open_shared_state(settings)).keep_open(account_hash(who.account), known, datetime.now(UTC))
            one.delete(list(one.find(known)))
    with pytest.raises(Killed):
        replace(eraser, places=[*teaches, *(one for one in last if isinstance(one, Breaks))]).erase(
            order(who), ids(who)
        )
    assert traces(settings, who) != []
    assert eraser.erase(order(who), ids(who)).left == 0
    assert traces(settings, who) == []
    assert eraser.erase(order(who), ids(who)).deleted == {}  # once more changes nothing


def test_the_commands_export_count_delete_and_show_a_receipt(settings):
    who = Customer("852", "fennimore")
    fill(settings, who)
    environment = os.environ | {
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint, "OMNI_STATE_DIR": str(settings.state_dir), "OMNI_STORE_TIMEOUT_S": "20",
        "OMNI_WAREHOUSE_REDACTOR": "patterns", "OMNI_RECORDS_BUCKET": "connect-records",
    }  # fmt: skip

    def omni(*words, code=0):
        command = [sys.executable, "-m", "service", "customer", *words]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout, done.stderr.decode()

    whose = ("--account", who.account, "--tenant", "acme", "--phone", who.phone)
    with zipfile.ZipFile(io.BytesIO(omni("export", *whose)[0])) as archive:
        names = set(archive.namelist())
        assert {"README.txt", "ids.json", "not-here.json", "table_SummaryCache.json"} <= names
        assert who.text("summary") in archive.read("table_SummaryCache.json").decode()
        assert STAYS.word not in "".join(archive.read(name).decode() for name in names)
        assert json.loads(archive.read("ids.json"))["contact"] == sorted([who.contact, f"other-{who.word}"])
    ordered = ("--reason", "GDPR 17, case 4711", "--by", "data protection")
    counted = omni("delete", *whose, *ordered, "--dry-run")[0].decode()
    assert f"table {settings.stores.callbacks_table}: 2" in counted
    assert "names a case" in omni("delete", *whose, "--reason", f"of {who.account}", "--by", "dpo", code=2)[1]
    assert "is too short" in omni("export", "--account", "12", "--tenant", "acme", code=2)[1]
    environment["OMNI_FINDINGS_TABLE"] = "nobody-made-this"
    del environment["OMNI_RECORDS_BUCKET"]
    _, told = omni("delete", *whose, *ordered, "--dry-run")
    assert "no task of the service runs" in told
    assert "OMNI_RECORDS_BUCKET" in told
    assert "not searched, because it does not exist: table nobody-made-this" in omni("export", *whose)[1]
    del environment["OMNI_FINDINGS_TABLE"]
    environment["OMNI_RECORDS_BUCKET"] = "connect-records"
    assert traces(settings, who) != []
    assert ", 0 left" in omni("delete", *whose, *ordered)[0].decode()
    assert traces(settings, who) == []
    assert "0 left, GDPR 17, case 4711, by data protection" in omni("receipts")[0].decode()


def test_the_operators_role_may_do_what_an_erasure_does_and_no_more(settings, monkeypatch):
    who = Customer("154", "ravensdal")
    fill(settings, who)
    needed = RightsNeeded(monkeypatch, settings)
    without_connect = settings.model_copy(update={"records_bucket": None})  # its bucket's rights stand in another stack
    eraser = replace(build_eraser(without_connect, "acme"), sleep=lambda seconds: None)
    assert eraser.erase(order(who), ids(who)).left == 0
    role = Role("Erasure")
    assert needed.not_of(role) == []
    called = {action for action, *_ in needed.found}
    assert {"dynamodb:Scan", "dynamodb:DeleteItem", "s3:ListBucketVersions", "kms:Decrypt"} <= called
    for setting, place in inventory().tables.items():
        if not place.is_searched:
            assert not role.may("dynamodb:Scan", "".join(part.capitalize() for part in setting.split("_"))), setting
    # A tenant's export gives its recordings back, so the role may read them; a customer's erasure never does.
    assert not any(action == "s3:GetObject" and "CallsBucket" in str(where) for action, *where in needed.found)


def test_the_loader_and_the_writer_may_read_who_was_erased(settings, monkeypatch):
    """Each task's role allows what its part of an erasure calls."""
    notes, who, late = (
        ("dynamodb:Query", "SharedTable", ""),
        Customer("267", "hollenbeck"),
        Customer("375", "thistlewood"),
    )
    for one in (who, late):
        fill(settings, one)
    erase_from(open_shared_state(settings), account_hash(late.account), datetime.now(UTC))
    loader, _ = build_loader(settings)
    needed = RightsNeeded(monkeypatch, settings)
    loader.prepare_warehouse()
    loader.scan(everything=True)
    loader.drain()
    assert notes in needed.found
    assert any(action == "s3:DeleteObjectVersion" for action, *_ in needed.found)  # what came late is erased
    assert needed.not_of(Role("ScheduleWorkloadTaskTaskRole")) == []

    needed = RightsNeeded(monkeypatch, settings)
    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    table, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
    tombstones, spool = open_tombstones(settings), answer_spool(settings.spool_folder, max_bytes=10**7)
    spool.add(summary(who, 1))
    writer = answer_writer(
        WithoutErased(table, tombstones), WithoutErased(archive, tombstones), spool, others_after_s=0.0
    )
    assert writer.replay() >= 1
    assert notes in needed.found
    assert needed.not_of(Role("ServiceWorkloadTaskTaskRole")) == []


@pytest.mark.parametrize("versioned", [True, False])
def test_nothing_keeps_an_erased_objects_name(settings, versioned):
    s3, bucket = client("s3", settings), f"names-{'kept' if versioned else 'plain'}"
    s3.create_bucket(Bucket=bucket)
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("of/gone", "of/gone", "of/gone-not"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"words")
    s3.delete_object(Bucket=bucket, Key="of/gone")
    if versioned:
        assert s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]
    else:
        s3.put_object(Bucket=bucket, Key="of/gone", Body=b"words")
    Archive(s3, bucket).erase(["of/gone", "of/never-there"])
    left = s3.list_object_versions(Bucket=bucket)
    assert [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in left.get(kind, ())] == ["of/gone-not"]

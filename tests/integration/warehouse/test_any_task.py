"""A throw-away task by real HTTP on a local AWS: answered, kept, rated, loaded; and a person of it is nowhere."""

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from builders import changed
from desk_task import ACCOUNT, CARD, CONVERSATION, NAME, PHONE, Desk, DeskPairs, desk_inputs
from queues import UntilEmpty

from eval.harvest.candidates import find_candidates, week_of
from eval.harvest.kept import KeptInputs, KeptSource
from eval.harvest.propose import HarvestContext, propose
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case
from reports.run import write_weekly
from service.access.control import account_key, local_token
from service.answers_kept.feedback import ByRequest
from service.answers_kept.reconcile import reconcile, restore_rows
from service.answers_kept.store import build_answer_table, build_table_and_archive
from service.answers_kept.writer import open_outbox
from service.app import create_app
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.cards import ModelCards
from service.kit.aws.clients import client
from service.kit.telemetry.fields import set_account_key
from service.loading.balance import balance
from service.loading.build import build_loader
from service.runtime import build_runtime
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PLANTED = (ACCOUNT, ACCOUNT.lower(), NAME, "Okonkwo", CONVERSATION, PHONE, "88123456")
HANG_S = 120.0


class Code:
    async def complete(self, call):
        text = Desk.in_process[call.model](call.document)
        return ModelReply(text=text, usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="code")


@contextmanager
def served(settings):
    runtime = changed(
        build_runtime(settings),
        cards=ModelCards([CARD]),
        gateway=Code(),
        tasks={"desk": Desk()},
        pair_sources={"desk": DeskPairs()},
        rollouts={},
        warm_up=None,
    )
    server = uvicorn.Server(uvicorn.Config(create_app(runtime=runtime), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(HANG_S)


def until(condition):
    ends = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < ends, "did not happen"
        time.sleep(0.05)


def post(url, token, body):
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)


def everything(settings, dynamodb, s3):
    """Return all that tables, bucket, queue's warehouse and disk hold, as one text."""
    texts = [
        json.dumps(page["Items"], default=str)
        for table in dynamodb.list_tables()["TableNames"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table)
    ]
    bucket = settings.stores.archive_bucket
    texts += [
        s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
        for item in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        tables = ("omni_summaries", "omni_feedback", "omni_answer_details", "omni_loads")
        texts += [warehouse.query(f"SELECT * FROM {table}").to_csv() for table in tables]
    files = [path for path in settings.state_dir.rglob("*") if path.is_file()]
    return "\n".join([*texts, *(path.read_bytes().decode("latin-1") for path in files)])


def reported_and_proposed(settings, s3, root):
    """Return the page of this week's report, and the cases that are proposed from its feedback, as text."""
    now = datetime.now(UTC)
    week = week_of(now.date())
    report = write_weekly(settings.model_copy(update={"root": root}), week=week, now=now)
    assert report.tasks == ("desk",)
    (root / "dev.jsonl").write_text(Case(id="dev-1", inputs=desk_inputs()).model_dump_json() + "\n", encoding="utf-8")
    context = HarvestContext(task=Desk(), source=KeptSource(Desk.input_model), rules=CaseRules(), folder=root, key=b"k")
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        candidates = find_candidates(warehouse, "desk", week)
    origin = KeptInputs(s3, settings.stores.archive_bucket, Desk.input_model)
    context = replace(context, against=("regression",))  # the only other case is this one
    found = propose(candidates, [], origin, context, week=week, most=5)
    assert not found.left_out
    (proposal,) = found.new
    assert (proposal.said_reason, proposal.provenance.reason) == ("wrong", "not_helpful")
    assert Desk.input_model.model_validate(proposal.case.inputs)
    return report.page.read_text(encoding="utf-8") + proposal.model_dump_json()


def test_a_task_is_answered_kept_rated_loaded_and_harvested_without_the_person(local_aws, capfd, tmp_path):
    settings = local_aws(writer_process=True, keep_wait_ms=4000, warehouse_redactor="patterns")
    set_account_key(account_key(settings))
    dynamodb, s3 = client("dynamodb", settings), client("s3", settings)
    answers = build_answer_table(settings, dynamodb=dynamodb)
    _, archive = build_table_and_archive(settings, dynamodb=dynamodb, s3=s3)
    with served(settings) as url:
        token = local_token(settings).text
        status, answer = post(f"{url}/v1/desk", token, desk_inputs())
        assert (status, answer["kept"]) == (200, True)
        assert NAME in answer["output"]
        narrow = local_token(settings, "summaries feedback").text
        assert post(f"{url}/v1/desk", narrow, desk_inputs())[0] == 403
        asked = answer["request_id"]
        said = {"rating": "not_helpful", "reason": "wrong", "comment": f"{NAME}, {ACCOUNT}, {PHONE}"}
        rated = []

        def is_rated():  # the row follows the answer from the writer's process
            rated[:] = post(f"{url}/v1/desk/feedback", token, {"request_id": asked} | said)
            return rated[0] == 200

        until(is_rated)
        assert (rated[1]["rating"], rated[1]["current"]) == ("not_helpful", True)
        assert post(f"{url}/v1/desk/feedback", token, {"request_id": asked} | said)[1] == rated[1]
        assert post(f"{url}/v1/desk/feedback", token, {"request_id": "req-0", "rating": "helpful"})[0] == 404
    outbox = open_outbox(settings, dynamodb)
    assert outbox.ids() == (set(), set())
    assert answers.request_ids("2020", "2099") == [asked]
    (folder,) = archive.folders("omni-channel/answers/")
    assert folder == "omni-channel/answers/desk/"

    counted = reconcile(settings, hours=2, logs=(), path="none", now=datetime.now(UTC))
    assert counted.balanced, counted.lines()
    assert (counted.table, counted.archive) == ((asked,), (asked,))

    loader, _ = build_loader(settings)
    loader = replace(loader, queue=UntilEmpty(loader.queue), report=lambda tally: None)
    loader.prepare_warehouse()
    tally = loader.drain()
    assert (tally.loaded, tally.dead.total(), tally.verdicts) == (2, 0, 1)
    assert loader.scan(everything=True).loaded == 0
    with closing(DuckWarehouse(settings.warehouse_file, read_only=True)) as warehouse:
        counted = balance(archive, warehouse, since=None, now=datetime.now(UTC))
        row = warehouse.query("SELECT task, request_id, helpful_feedback, client FROM omni_summaries").iloc[0].tolist()
        why = warehouse.query("SELECT task, reason, comment FROM omni_feedback").iloc[0].tolist()
        details = warehouse.query("SELECT inputs, tools FROM omni_answer_details").iloc[0].tolist()
    assert counted.balanced, counted.lines()
    assert sorted(folder.partition("/year=")[0] for folder in counted.hours) == [
        "omni-channel/answer-feedback",
        "omni-channel/answers/desk",
    ]
    assert row == ["desk", asked, "not_helpful", "local"]
    assert why[:2] == ["desk", "wrong"]
    assert json.loads(details[0])["history"][0]["text"].endswith("a charge of $45.20 on 2026-11-08.")
    assert [use["name"] for use in json.loads(details[1])] == ["orders", "unknown"]

    kept, printed = everything(settings, dynamodb, s3), "".join(capfd.readouterr())
    assert asked in kept
    told = reported_and_proposed(settings, s3, tmp_path)
    for planted in PLANTED:
        assert planted not in kept, planted
        assert planted not in told, planted
        assert planted not in printed, planted
    dynamodb.delete_item(TableName=settings.summaries.answers_table, Key={"request_id": {"S": asked}})
    assert reconcile(settings, hours=2, logs=(), path="none", now=datetime.now(UTC)).without_row == [asked]
    assert restore_rows(settings, hours=2, now=datetime.now(UTC)) == (1, 0)
    found = answers.find(ByRequest(request_id=asked), datetime.now(UTC))
    assert (found.record.task, found.said) == ("desk", None)
    assert answers.find(ByRequest(request_id=asked), datetime.now(UTC) + timedelta(days=8)) is None
    dynamodb.close()
    s3.close()

"""The commands and queries of the runbooks work: in the local AWS where they can, by AWS's own model of its calls where not."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import loadable
import pytest
import typer
import yaml
from audited import RIGHT, WRONG, Scripted, audited_assistant, open_bank, talked
from botocore import xform_name
from botocore.exceptions import ClientError
from builders import changed

from omni.app import build_app
from omni.deploying.rehearsal.runbooks import PAGES, aws_call, blocks, commands
from service.answers_kept.archive import Archive
from service.answers_kept.record import utc_text
from service.answers_kept.store import build_table_and_archive
from service.audit.auditor import Auditor
from service.audit.stores import AuditObjects
from service.core.tasks.assistant import tools
from service.kit.aws.clients import client
from service.kit.frame.clock import set_clock

ROOT = Path(__file__).resolve().parents[3]
LINES = (
    {"event": "REQUEST_FAILED", "failure_code": "DEADLINE", "request_id": "REQUEST"},
    {"event": "REQUEST_COMPLETED", "arm": "primary", "model_used": "m", "latency_ms": 1200, "cost_usd": 0.01},
    {"event": "REQUEST_COMPLETED", "arm": "fallback", "model_used": "digest", "latency_ms": 4100, "cost_usd": 0},
    {"event": "REQUEST_COMPLETED", "pair": "nova-lite", "approved": False, "cost_usd": 0.01},
    {"event": "DYNAMODB_QUERY_SUCCESS", "latency_ms": 12},
    {"event": "DYNAMODB_QUERY_FAILURE", "latency_ms": 900, "reason": "throttled"},
    {"event": "BEDROCK_INVOKE_SUCCESS", "model": "m", "latency_ms": 800},
    {"event": "BEDROCK_INVOKE_TIMEOUT", "model": "m", "latency_ms": 2000},
    {"event": "BEDROCK_INVOKE_FAILURE", "model": "m", "failure_code": "QUOTA_EXCEEDED"},
    {"event": "BREAKER_OPENED"},
    {"event": "CROWDED"},
    {"event": "SUMMARY_UNKEPT", "reason": "slow"},
    {"event": "HALLUCINATION_FOUND", "kinds": "fee", "severity": "high"},
    {"event": "TOOL_USED", "tool": "balance", "outcome": "failed"},
    {"event": "VALIDATION_TIMEOUT"},
    {"event": "HANDOVER_ENTERED", "reason": "asked", "outcome": None},
    {"event": "CALLBACK_RUNG"},
    {"event": "AUDIT_UNKEPT", "reason": "bucket"},
    {"event": "ROLLOUT_STOPPED", "reason": "failures"},
    {"event": "REGISTRY_UNREADABLE", "task": "summarize", "reason": "RegistryError"},
    {"event": "FEEDBACK_RECORDED", "feedback": "helpful"},
    {"event": "CALL_OVERRIDDEN", "criterion": "greeting", "agrees": False},
    {"event": "CALL_SCORED", "tenant": "acme", "cost_usd": 0.02, "duration_s": 240},
    {"event": "CALL_SETTLED", "tenant": "acme", "state": "failed", "reason": "model"},
)


def _fences(kind):
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page.stem, kind))
    ]


def _as_sql(query):
    """Return a query of Logs Insights as DuckDB's SQL: filter, fields, stats, sort and limit, as the runbooks use them."""
    where, columns, tail = [], "*", []
    for stage in (part.strip() for part in query.split("|")):
        word, _, rest = stage.partition(" ")
        rest = re.sub(r"bin\((\d+)m\)", r"time_bucket(INTERVAL '\1 minutes', timestamp::TIMESTAMP)", rest)
        rest = re.sub(r"ispresent\((\w+)\)", r"\1 IS NOT NULL", rest)
        rest = re.sub(r"bin\((\d+)d\)", r"time_bucket(INTERVAL '\1 days', timestamp::TIMESTAMP)", rest)
        rest = re.sub(r"pct\((\w+), (\d+)\)", r"quantile_cont(\1, \2 / 100)", rest)
        if word == "filter":
            where.append(re.sub(r"\[([^\]]*)\]", r"(\1)", rest))
        elif word == "fields":
            columns = rest
        elif word == "stats":
            figures, _, by = rest.partition(" by ")
            columns = f"{by}, {figures}" if by else figures
            tail += [f"GROUP BY {by}"] if by else []
        elif word == "sort":
            tail.append(f"ORDER BY {rest}")
        else:
            raise AssertionError(f"no such stage here: {stage}")
    return f"SELECT {columns} FROM log WHERE {' AND '.join(where)} {' '.join(tail)}"


@pytest.mark.parametrize("query", _fences("insights"))
@pytest.mark.acceptance("operation-05")
def test_a_query_finds_what_it_looks_for_in_a_local_log(query, tmp_path):
    names = dict.fromkeys(name for line in LINES for name in line)
    rows = [dict.fromkeys(names) | line | {"timestamp": "2026-11-22T03:00:00Z"} for line in LINES]
    log = tmp_path / "service.log"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute("CREATE VIEW log AS SELECT * FROM read_json_auto(?)".replace("?", f"'{log}'"))
        assert connection.execute(_as_sql(query)).fetchall()
        connection.execute("CREATE TABLE nothing AS SELECT * FROM log WHERE false")
        assert not connection.execute(_as_sql(query).replace("FROM log", "FROM nothing")).fetchall()


def _workflow_run(words):
    """Check a line ``gh workflow run NAME -f input=value ...`` against the workflow."""
    assert words[:2] == ["workflow", "run"]
    workflow = yaml.load(
        (ROOT / ".github" / "workflows" / f"{words[2]}.yml").read_text(encoding="utf-8"), yaml.BaseLoader
    )
    inputs = workflow["on"]["workflow_dispatch"]["inputs"]
    given = dict(text.split("=", 1) for text in words[4::2])
    assert set(words[3::2]) == {"-f"}
    assert {name for name, item in inputs.items() if item.get("required") == "true" and "default" not in item} <= set(
        given
    )
    assert set(given) <= set(inputs)
    for name, value in given.items():
        assert value in inputs[name].get("options", [value])


def _parsed_by_omni(words):
    """Parse an ``omni`` line without running it; raises its usage errors."""
    command = typer.main.get_command(build_app())
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context("omni", words).close()


@pytest.mark.parametrize("block", _fences("console"))
@pytest.mark.acceptance("operation-05")
def test_a_command_for_the_real_account_is_well_formed(block):
    for program, *words in commands(block):
        if program == "aws":
            aws_call(words)
        elif program == "gh":
            _workflow_run(words)
        else:
            assert program == "omni"
            _parsed_by_omni(words)


@pytest.fixture(scope="module")
def stack(local_aws, tmp_path_factory):
    settings = local_aws()
    env = os.environ | {
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_STORE_TIMEOUT_S": "30",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-m", "omni", "load-events", "--once"], env=env, cwd=ROOT, check=True)
    return settings, env


@pytest.mark.parametrize("block", _fences("bash"))
@pytest.mark.acceptance("operation-05")
def test_a_command_runs_in_the_local_stack(block, stack):
    settings, env = stack
    for program, *words in commands(block):
        if program == "aws":
            service, operation, given = aws_call(words)
            getattr(client(service, settings), xform_name(operation))(**given)
            continue
        done = subprocess.run(
            [sys.executable, "-m", program, *words], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr  # 1: something was found that needs somebody
        assert "Traceback" not in done.stderr


# --- With the fault present ---


@pytest.fixture
def place(local_aws, api_runtime, monkeypatch):
    """A stack of its own, which a fault may spoil, and the way to run a page's ``bash`` blocks there."""
    settings = local_aws(store_timeout_s=30.0)
    env = os.environ | {
        "OMNI_AWS_ENDPOINT": str(settings.aws.endpoint),
        "OMNI_STATE_DIR": str(settings.state_dir),
        "PYTHONPATH": str(ROOT),
    }
    open_bank(monkeypatch)
    return _Place(settings, env, api_runtime, monkeypatch)


class _Place:
    def __init__(self, settings, env, api_runtime, monkeypatch):
        self.settings, self.env, self.monkeypatch = settings, env, monkeypatch
        self._api_runtime = api_runtime

    def talked(self, *messages, pair_name="rules", gateway=None):
        """Let a customer say ``messages`` to the assistant just now, and load the records into the warehouse."""
        objects = AuditObjects(Archive(self.aws("s3"), self.settings.stores.archive_bucket))
        runtime, _, lines = audited_assistant(self._api_runtime, pair_name, gateway)
        now = partial(datetime.now, UTC)
        audit = Auditor(now=now, environment="local", stores=[objects], write=lines.append, threads=1)
        talked(changed(runtime, now=now, audit=audit), *messages)
        assert self.omni("load-events", "--once").returncode == 0

    def aws(self, service):
        return client(service, self.settings)

    def omni(self, *words):
        line = [sys.executable, "-m", "omni", *words]
        return subprocess.run(line, env=self.env, cwd=ROOT, capture_output=True, text=True, check=False)

    def shown(self, page):
        """What the page's ``bash`` blocks print, errors included."""
        said = []
        for block in blocks(page, "bash"):
            for program, *words in commands(block):
                if program == "omni":
                    done = self.omni(*words)
                    said.append(done.stdout + done.stderr)
                    continue
                service, operation, given = aws_call(words)
                try:
                    said.append(json.dumps(getattr(self.aws(service), xform_name(operation))(**given), default=str))
                except ClientError as err:
                    said.append(str(err))
        return "\n".join(said)

    def console(self, page, having):
        """The lines of the page's ``console`` block that has this word."""
        return commands(next(block for block in blocks(page, "console") if having in block))


def _adds_a_client(place):
    assert place.omni("client", "in-a-loop").returncode == 0


def _loses_a_table(name):
    return lambda place: place.aws("dynamodb").delete_table(TableName=name)


def _schedules_a_keys_deletion(place):
    key = place.aws("kms").describe_key(KeyId="alias/omni-token-keys")["KeyMetadata"]["KeyId"]
    place.aws("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def _announces_a_spoilt_object(place):
    key = "omni-channel/processed/2026/11/24/10/spoilt.json"
    place.aws("s3").put_object(Bucket=place.settings.stores.archive_bucket, Key=key, Body=b"{")


def _loses_an_answers_row(place):
    record = loadable.summary(generated_at=utc_text(datetime.now(UTC)))
    _, archive = build_table_and_archive(place.settings, dynamodb=place.aws("dynamodb"), s3=place.aws("s3"))
    archive.put(record)


def _hands_over(place):
    place.talked("I want to speak to a person")


def _invents(place):
    place.talked("What does it cost?", pair_name="nova-lite", gateway=Scripted(WRONG, RIGHT))


def _breaks_its_tools(place):
    place.monkeypatch.setattr(tools, "live_bank", lambda: (_ for _ in ()).throw(OSError("the bank's system is down")))
    place.talked("how much is a premium debit card")


def _promises_a_callback(place):
    """On a Sunday, to be kept on the Monday after: long ago."""
    clock = place.settings.state_dir / "then"
    set_clock(clock, datetime(2025, 11, 23, 20, tzinfo=UTC))
    place.env["OMNI_CLOCK_FILE"] = str(clock)
    assert place.omni("callbacks", "add", "020 7946 0214", "--contact", "c-forgotten").returncode == 0
    del place.env["OMNI_CLOCK_FILE"]


# By page: what goes wrong, and what its commands then say that they did not say before.
FAULTS = {
    "bedrock-throttles": (_adds_a_client, "in-a-loop"),
    "cost-spike": (_adds_a_client, "in-a-loop"),
    "dynamodb-throttle": (_adds_a_client, "in-a-loop"),
    "audit-unkept": (_loses_a_table("omni-findings"), "it does not exist"),
    "unkept-answers": (_loses_a_table("omni-answer-outbox"), "not found"),
    "keys": (_schedules_a_keys_deletion, "PendingDeletion"),
    "handover-queue": (_hands_over, "explicit_request"),
    "hallucination-rate": (_invents, "fabricated_data"),
    "tool-failures": (_breaks_its_tools, '"failed": 1'),
    "callbacks-overdue": (_promises_a_callback, '"overdue": true'),
    "restore": (_loses_an_answers_row, "1 row was written again"),
    "summary-misses": (_loses_an_answers_row, "1 row was written again"),
    "dead-letters": (_announces_a_spoilt_object, "omni-channel/dead/not_json/"),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", FAULTS)
@pytest.mark.acceptance("operation-05")
def test_the_commands_of_a_page_show_the_fault(page, place):
    spoil, told = FAULTS[page]
    before = place.shown(page)
    spoil(place)
    after = place.shown(page)
    assert after.count(told) > before.count(told), after


@pytest.mark.slow
@pytest.mark.acceptance("operation-04")
def test_a_damaged_table_is_restored_under_its_name(place, record_property):
    """The local AWS copies a table as it is and goes to no time before, so the first line runs before the damage."""
    _adds_a_client(place)
    dynamodb, table, began = place.aws("dynamodb"), place.settings.stores.shared_table, time.monotonic()
    held = dynamodb.scan(TableName=table)["Items"]
    backup = ""
    for number, (program, *words) in enumerate(place.console("restore", "restore-table-from-backup")):
        assert program == "aws"
        _, operation, given = aws_call(words)
        if "BackupArn" in given:
            given["BackupArn"] = backup
        answer = getattr(dynamodb, xform_name(operation))(**given)
        backup = answer.get("BackupDetails", {}).get("BackupArn", backup)
        if number == 0:
            for item in held:
                dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
            assert "in-a-loop" not in place.omni("clients").stdout
    record_property("seconds", round(time.monotonic() - began, 1))
    assert sorted(map(str, dynamodb.scan(TableName=table)["Items"])) == sorted(map(str, held))
    assert "in-a-loop" in place.omni("clients").stdout


@pytest.mark.slow
@pytest.mark.acceptance("operation-04")
def test_a_key_that_waits_for_its_deletion_seals_again(place, record_property):
    began = time.monotonic()
    _schedules_a_keys_deletion(place)
    assert place.omni("token-keys", "--rotate").returncode != 0
    kms = place.aws("kms")
    key = kms.describe_key(KeyId="alias/omni-token-keys")["KeyMetadata"]["KeyId"]
    for program, *words in place.console("keys", "cancel-key-deletion"):
        assert program == "aws"
        _, operation, given = aws_call([key if word == "KEY" else word for word in words])
        getattr(kms, xform_name(operation))(**given)
    assert place.omni("token-keys", "--rotate").returncode == 0
    record_property("seconds", round(time.monotonic() - began, 1))

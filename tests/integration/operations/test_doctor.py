"""``omni doctor`` finds nothing in a healthy deployment, and names what is wrong in broken ones."""

import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from service.core.tasks.summarize import digest
from service.kit.aws import stores
from service.kit.aws.clients import client
from service.kit.frame.errors import RegistryError
from service.local import aws
from service.operate.doctor import checks
from service.operate.doctor.checks import check_deployment
from service.operate.doctor.stores import check_table


@pytest.fixture(scope="module")
def healthy(local_aws):
    return local_aws()


@pytest.fixture(autouse=True)
def released(monkeypatch):
    """A registry that holds a verified release; its own tests are in tests/integration/release."""
    models = ("amazon.nova-lite-v1:0", digest.MODEL_ID)
    served = SimpleNamespace(pair=SimpleNamespace(task="summarize", models=models, artifacts=()))
    monkeypatch.setattr("service.core.release.registry.fetch_released", lambda task, settings: served)


def _problems(settings, **given):
    return {one.part: one for one in check_deployment(settings, **given) if one.problem}


def _only(settings, part, words, **given):
    found = _problems(settings, **given)
    assert list(found) == [part]
    assert words in found[part].problem
    assert found[part].do


@pytest.mark.acceptance("operation-07")
def test_a_healthy_deployment_has_no_problem(healthy):
    assert _problems(healthy) == {}


def test_a_missing_table(healthy):
    other = healthy.model_copy(update={"outbox_table": "nobody-made-this"})
    _only(other, "table nobody-made-this", "does not exist")


def _table(healthy, shape, name, **changes):
    dynamodb = client("dynamodb", healthy)
    dynamodb.create_table(**shape.definition(name) | changes)
    if shape.expires:
        dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": shape.expires}
        )


def test_a_table_without_recovery_to_a_point_in_time(healthy):
    dynamodb = client("dynamodb", healthy)
    _table(healthy, stores.CONFIG, "no-recovery")
    (found,) = check_table(dynamodb, stores.CONFIG, "no-recovery", recoverable=True)
    assert "point in time" in found[0]
    dynamodb.update_continuous_backups(
        TableName="no-recovery", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    assert list(check_table(dynamodb, stores.CONFIG, "no-recovery", recoverable=True)) == []


def test_a_table_with_other_keys(healthy):
    _table(healthy, stores.CONFIG, "wrong-keys")
    _only(healthy.model_copy(update={"outbox_table": "wrong-keys"}), "table wrong-keys", "other keys")


@pytest.mark.acceptance("operation-07")
def test_a_missing_index(healthy):
    bare = stores.TableShape(setting="callbacks_table", partition="callback_id", expires="ttl")
    _table(healthy, bare, "no-index")
    other = healthy.model_copy(update={"callbacks_table": "no-index"})
    _only(other, "table no-index", "index by-next-look is missing")


def test_a_table_whose_rows_never_expire(healthy):
    keeps = stores.TableShape(setting="answers_table", partition="request_id")
    _table(healthy, keeps, "keeps-all")
    _only(healthy.model_copy(update={"answers_table": "keeps-all"}), "table keeps-all", "nothing expires")


def test_a_queue_without_dead_letters(healthy):
    client("sqs", healthy).create_queue(QueueName="no-aside")
    other = healthy.model_copy(update={"events_queue": "no-aside"})
    _only(other, "queue no-aside", "no dead-letter queue")


def test_a_bucket_that_may_be_made_public(healthy):
    client("s3", healthy).create_bucket(Bucket="open-results")
    other = healthy.model_copy(update={"results_bucket": "open-results"})
    _only(other, "bucket open-results", "may be made public")


@pytest.mark.acceptance("operation-07")
def test_a_key_that_waits_for_its_deletion(healthy):
    kms = client("kms", healthy)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    other = healthy.model_copy(update={"access_kms_key": key})
    _only(other, f"key {key}", "PendingDeletion")


@pytest.mark.acceptance("operation-07")
def test_a_clock_that_is_wrong(healthy):
    _only(healthy, "clock", "s off AWS's", now=lambda: time.time() + 600)


def test_a_registry_that_is_down_or_holds_an_unattested_version(healthy, monkeypatch):
    def refuses(task, settings):
        raise RegistryError("version 4 carries no signed release")

    monkeypatch.setattr("service.core.release.registry.fetch_released", refuses)
    _only(healthy, "release of summarize", "carries no signed release")


def test_a_store_of_releases_that_is_missing(healthy, monkeypatch, tmp_path):
    monkeypatch.undo()
    (tmp_path / "keys").mkdir()
    other = healthy.model_copy(update={"registry_uri": f"sqlite:///{tmp_path}/none.db", "state_dir": tmp_path})
    assert list(_problems(other)) == ["release of summarize"]


def test_a_disk_that_is_full(healthy, monkeypatch):
    monkeypatch.setattr(checks, "_LEAST_FREE_MB", 10**9)
    _only(healthy, "disk", "MB are free")


class _Expired(BaseHTTPRequestHandler):
    def do_POST(self):
        body = b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        del words


@pytest.mark.acceptance("operation-07")
def test_credentials_that_have_expired(healthy):
    server = HTTPServer(("127.0.0.1", 0), _Expired)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        other = healthy.model_copy(update={"aws_endpoint": f"http://127.0.0.1:{server.server_port}"})
        _only(other, "credentials", "ExpiredToken")
    finally:
        server.shutdown()
        server.server_close()


def test_the_command_prints_json_and_ends_with_one(healthy, monkeypatch):
    from typer.testing import CliRunner

    from omni.app import build_app

    monkeypatch.setenv("OMNI_AWS_ENDPOINT", aws.endpoint(healthy))
    monkeypatch.setenv("OMNI_STATE_DIR", str(healthy.state_dir))
    monkeypatch.setenv("OMNI_STORE_TIMEOUT_S", "10")
    good = CliRunner().invoke(build_app(), ["doctor"])
    assert good.exit_code == 0, good.output
    monkeypatch.setenv("OMNI_OUTBOX_TABLE", "nobody-made-this")
    bad = CliRunner().invoke(build_app(), ["doctor", "--format", "json"])
    assert bad.exit_code == 1
    (problem,) = [one for one in json.loads(bad.stdout) if one["problem"]]
    assert problem["runbook"] == "restore"

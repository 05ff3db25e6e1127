"""Clients, revocations and token keys of two tasks with disks of their own, in a local AWS with DynamoDB and KMS."""

import asyncio
import base64
import json
import time
import urllib.error
import urllib.request
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs
from two_tasks import ACCOUNTS, Deployment, ServingTask, Watched, eventually

from service.access.changes import SPREAD_S
from service.access.control import local_token, open_access, open_changes
from service.access.errors import InvalidClient, TokenRefused
from service.access.items import PARTITION
from service.access.sealing import KmsSealer
from service.kit.aws.clients import client
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.records.shared_state import open_shared_state
from service.kit.records.shared_watch import SharedWatch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class AsTask:
    """What a task of the service makes of clients and keys: read at its start, and again when the watch says so."""

    def __init__(self, settings, folder, **now):
        self.settings = settings.model_copy(update={"state_dir": folder})
        self.access = open_access(self.settings, **now)
        self.watch = SharedWatch(open_shared_state(self.settings))
        self.watch.on_change(PARTITION, self.access.refresh)
        self.watch.look()

    def accepts(self, token):
        try:
            return self.access.tokens.verify(f"Bearer {token}") is not None
        except TokenRefused:
            return False


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def tasks(settings, tmp_path):
    return [AsTask(settings, tmp_path / name) for name in ("one", "other")]


def test_what_one_task_issues_the_other_accepts_until_it_is_revoked(settings, tasks):
    one, other = tasks
    changes = open_changes(settings)
    secret = changes.add_client("widget", ["summaries"])
    with pytest.raises(InvalidClient):
        other.access.tokens.issue("widget", secret, None)
    for task in tasks:
        task.watch.look()
    token = one.access.tokens.issue("widget", secret, None).text
    assert other.accepts(token)
    assert other.accepts(local_token(one.settings).text)
    changes.revoke_client("widget")
    assert other.accepts(token)
    other.watch.look()
    assert not other.accepts(token)


def test_a_link_that_one_task_opened_the_other_refuses(tasks):
    one, other = (task.access for task in tasks)
    code = one.sessions.link(one.tokens.verify(f"Bearer {one.tokens.sign('local', ('operator',)).text}")).text
    assert asyncio.run(other.sessions.from_link(code)).client_id == "local"
    with pytest.raises(TokenRefused, match="used before"):
        asyncio.run(one.sessions.from_link(code))


def test_a_rotated_key_signs_for_one_task_and_verifies_for_the_other(settings, tmp_path):
    ahead = [0.0]
    tasks = [AsTask(settings, tmp_path / name, now=lambda: time.time() + ahead[0]) for name in ("one", "other")]
    one, other = tasks
    before = one.access.tokens.keys.signing()[0]
    added = open_changes(settings).rotate_key()
    for task in tasks:
        task.watch.look()
    assert one.access.tokens.keys.signing()[0] == before
    ahead[0] = SPREAD_S + 1
    assert one.access.tokens.keys.signing()[0] == added
    assert other.accepts(one.access.tokens.sign("local", ("summaries",)).text)


@pytest.mark.acceptance("event.ACCESS_TAKEN_OVER")
def test_files_of_before_are_taken_over_into_the_table(settings, tmp_path):
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    folder = tmp_path / "one" / "access"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "local.pem").write_bytes(pem)
    (folder / "clients.json").write_text(
        '{"clients": {"old": {"secrets": ["sha256:' + "0" * 64 + '"], "scopes": ["feedback"]}}}', encoding="utf-8"
    )
    with capture_logs() as logs:
        AsTask(settings, tmp_path / "one")
        other = AsTask(settings, tmp_path / "other")
    taken = [entry for entry in logs if entry["event"] == "ACCESS_TAKEN_OVER"]
    assert [(entry["clients"], entry["keys"]) for entry in taken] == [(1, 1)]
    assert other.access.tokens.clients.get("old").scopes == ("feedback",)
    assert len(other.access.tokens.keys.jwks()["keys"]) == len(open_changes(settings).token_keys()) >= 1


def test_no_private_key_lies_open_in_the_table_or_on_a_disk(settings, tasks):
    scan = client("dynamodb", settings).scan(TableName=settings.stores.shared_table)
    private = tasks[0].access.tokens.keys.signing()[1]
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    number = private.private_numbers().private_value.to_bytes(32, "big")
    everything = str(scan).encode() + b"".join(
        file.read_bytes() for task in tasks for file in task.settings.state_dir.rglob("*") if file.is_file()
    )
    assert b"kms:" in everything
    for secret in (der, number):
        assert base64.b64encode(secret) not in everything
        assert secret not in everything
    assert b"PRIVATE KEY" not in everything


def test_kms_opens_a_key_under_its_own_name_only(settings):
    kms = client("kms", settings)
    sealer = KmsSealer(lambda: kms, settings.access.kms_key)
    sealed = sealer.seal(b"secret", "one")
    assert sealer.open(sealed, "one") == b"secret"
    with pytest.raises(StoreError):
        sealer.open(sealed, "another")
    with pytest.raises(StoreError, match="alias/nowhere"):
        KmsSealer(lambda: kms, "alias/nowhere").seal(b"secret", "one")


def status(task, token):
    request = urllib.request.Request(
        f"http://127.0.0.1:{task.port}/omni-channel-insights",
        data=json.dumps({"account_number": ACCOUNTS[0], "contact_id": "c"}).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as err:
        return err.code


def token_of(task, name, secret):
    form = urlencode({"grant_type": "client_credentials", "client_id": name, "client_secret": secret}).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{task.port}/oauth/token", form, timeout=30) as answer:
            return json.load(answer)["access_token"]
    except urllib.error.HTTPError:
        return None


def test_over_http_a_new_client_a_new_key_and_a_revocation_reach_two_services(settings, tmp_path, capsys):
    made, services = Deployment(settings, tmp_path), []
    try:
        services.extend(ServingTask(made, tmp_path / name) for name in ("one", "other"))
        one, other = (service.ready() for service in services)
        changes, seconds = open_changes(settings), {}

        def reach(what, seen):
            with Watched(services, seen) as watched:
                began = time.monotonic()
            assert None not in watched.moments
            seconds[what] = max(watched.moments) - began

        secret = changes.add_client("widget", ["summaries"])
        reach("a new client", lambda task: token_of(task, "widget", secret))
        token = token_of(one, "widget", secret)
        assert (status(one, token), status(other, token)) == (200, 200)
        added = changes.rotate_key()
        eventually(
            lambda: all(
                jwt.get_unverified_header(token_of(task, "widget", secret))["kid"] == added for task in services
            ),
            "the new key signs",
        )
        assert {status(task, token_of(one, "widget", secret)) for task in services} == {200}
        changes.revoke_client("widget")
        reach("a revoked client", lambda task: status(task, token) == 401)
    finally:
        for service in services:
            service.end()
    with capsys.disabled():
        print("\n" + ", ".join(f"{what} reached both after {taken:.1f} s" for what, taken in seconds.items()))


def test_a_start_without_the_table_needs_the_copy_on_disk(settings, tmp_path):
    token = AsTask(settings, tmp_path / "one").access.tokens.sign("local", ("summaries",)).text
    nowhere = settings.model_copy(update={"aws_endpoint": "http://127.0.0.1:9", "state_dir": tmp_path / "one"})
    with capture_logs():
        access = open_access(nowhere)
    assert access.tokens.verify(f"Bearer {token}").client_id == "local"
    with pytest.raises(StoreError, match="no token key can be opened"):
        access.tokens.sign("local", ("summaries",))
    with pytest.raises(ConfigurationError, match="clients and token keys cannot be read"), capture_logs():
        open_access(nowhere.model_copy(update={"state_dir": tmp_path / "new"}))

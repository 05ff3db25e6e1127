"""Tokens that hold and tokens that do not, keys and clients that change under way, limits per client."""

import asyncio
import base64
import json
from contextlib import ExitStack, nullcontext

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from shared_table import TableInMemory
from structlog.testing import capture_logs

from service.access.changes import SPREAD_S, AccessChanges
from service.access.clients import SCOPES, Client, Clients, Revoked, hash_secret, new_secret
from service.access.control import account_key, local_token, open_access, open_changes
from service.access.errors import InvalidClient, InvalidScope, ScopeMissing, TokenRefused
from service.access.items import SharedItems, first_use
from service.access.keys import KeyRing, new_key, thumbprint
from service.access.live import LiveAccess
from service.access.seals import change_client, seal_all
from service.access.sessions import Sessions
from service.access.takeover import take_over
from service.access.throttle import ConversationThrottle, LimitExceeded, Throttle
from service.access.tokens import Caller, Tokens
from service.commands.access import client as client_command
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.settings import Settings

SECRET = new_secret()


class Sealing:
    """Seals by turning bytes round; the name is part of it. Fails while ``down``."""

    def __init__(self):
        self.down, self.opened = False, 0

    def seal(self, secret, name):
        self._reach()
        return f"turned:{name}:{secret[::-1].hex()}"

    def open(self, sealed, name):
        self._reach()
        self.opened += 1
        kind, of, content = sealed.split(":")
        if (kind, of) != ("turned", name):
            raise ValueError("sealed under another name")
        return bytes.fromhex(content)[::-1]

    def _reach(self):
        if self.down:
            raise StoreError("KMS key 'alias/k' cannot be reached: ConnectTimeoutError")


class World:
    """Two tasks of one table, each with its own disk, and one clock."""

    def __init__(self, folder):
        self.folder = folder
        self.now = 1_800_000_000.0
        self.table, self.sealing = TableInMemory(), Sealing()
        self.changes = AccessChanges(items=SharedItems(self.table), sealer=self.sealing, now=lambda: self.now)
        self.changes.rotate_key()
        self.keep("widget", scopes=["summaries", "feedback"])
        self.live, self.tokens = self.task("one")
        self.other_live, self.other = self.task("other")

    def task(self, name):
        live = LiveAccess(SharedItems(self.table), self.sealing, copy=self.folder / name / "copy.json")
        live.start()
        keys, clients = KeyRing(live.keys, now=lambda: self.now), Clients(live.clients)
        return live, Tokens(keys, clients, issuer="us", audience="us", now=lambda: self.now)

    def keep(self, name, **fields):
        text = json.dumps({"secrets": [hash_secret(SECRET)], **fields})
        change_client(self.changes.items, self.sealing, name, lambda _: text)

    def refresh(self):
        self.live.refresh()
        self.other_live.refresh()

    def bearer(self, scope=None):
        return f"Bearer {self.tokens.issue('widget', SECRET, scope).text}"

    def forged(self, *, key=None, algorithm="ES256", header=None, **claims):
        kid, own = self.tokens.keys.signing()
        good = jwt.decode(self.bearer().removeprefix("Bearer "), options={"verify_signature": False})
        fields = {name: value for name, value in (good | claims).items() if value is not ...}
        headers = {"kid": kid, "typ": "at+jwt"} | (header or {})
        return "Bearer " + jwt.encode(fields, own if key is None else key, algorithm=algorithm, headers=headers)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.acceptance("promise-10")
def test_a_token_says_who_and_what_for_an_hour(world):
    token = world.tokens.issue("widget", SECRET, None)
    header = jwt.get_unverified_header(token.text)
    claims = jwt.decode(token.text, options={"verify_signature": False})
    assert (header["alg"], header["typ"], header["kid"]) == ("ES256", "at+jwt", world.tokens.keys.signing()[0])
    assert (claims["iss"], claims["aud"], claims["sub"], claims["scope"]) == (
        "us",
        "us",
        "widget",
        "summaries feedback",
    )
    assert claims["exp"] - claims["nbf"] == token.expires_in_s == 3600
    caller = world.tokens.verify(f"bearer {token.text}")
    assert (caller.client_id, caller.scopes) == ("widget", {"summaries", "feedback"})


@pytest.mark.parametrize("seconds", [-11, 3611])
def test_a_token_holds_from_its_issue_to_its_end_and_ten_seconds_around(world, seconds):
    bearer = world.bearer()
    issued = world.now
    world.now = issued + (seconds - 2 if seconds > 0 else seconds + 2)
    assert world.tokens.verify(bearer).client_id == "widget"
    world.now = issued + seconds
    with pytest.raises(TokenRefused, match="expired, or is not valid yet"):
        world.tokens.verify(bearer)


@pytest.mark.acceptance("promise-10")
def test_forgeries_are_refused(world):
    other = ec.generate_private_key(ec.SECP256R1())
    public = world.tokens.keys.signing()[1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = world.bearer().removeprefix("Bearer ").split(".")
    none_header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt","kid":"x"}').rstrip(b"=").decode()
    hs256 = jwt.encode({}, "k" * 32, algorithm="HS256", headers={"kid": world.tokens.keys.signing()[0]})
    assert len(public) > 0
    forged = {
        "another key": world.forged(key=other),
        "another key and its id": world.forged(key=other, header={"kid": thumbprint(other.public_key())}),
        "an empty id": world.forged(header={"kid": ""}),
        "another type": world.forged(header={"typ": "JWT"}),
        "another issuer": world.forged(iss="them"),
        "another audience": world.forged(aud="them"),
        "a missing end": world.forged(exp=...),
        "a missing scope": world.forged(scope=...),
        "an endless end": world.forged(exp="never"),
        "an end of 401 digits": world.forged(exp=10**400),
        "an infinite end": world.forged(exp=float("inf")),
        "a start that is no number": world.forged(nbf=float("nan")),
        "a start of 401 digits": world.forged(nbf=-(10**400)),
        "no signature": f"Bearer {none_header}.{parts[1]}.",
        "a shared secret": f"Bearer {hs256}",
        "a changed body": f"Bearer {parts[0]}.{parts[1][:-2]}AA.{parts[2]}",
        "no token": "Bearer ",
        "noise": "Bearer \x00\xff..",
        "another scheme": "Basic d2lkZ2V0Og==",
        "a huge one": "Bearer " + "a" * 5000,
    }
    for bearer in forged.values():
        with pytest.raises(TokenRefused) as caught:
            world.tokens.verify(bearer)
        assert not caught.value.missing


def test_a_token_of_one_kind_is_refused_as_another(world):
    link = world.tokens.sign("widget", ("summaries",), kind="link").text
    assert world.tokens.read(link, kind="link").caller.client_id == "widget"
    for _ in range(2):
        with pytest.raises(TokenRefused, match="not signed by a key"):
            world.tokens.read(link)
        with pytest.raises(TokenRefused, match="not signed by a key"):
            world.tokens.verify(f"Bearer {link}")


def test_the_forgery_helper_without_changes_makes_a_valid_token(world):
    # The same helper with nothing changed makes a token that is accepted: what is refused above is refused for its change.
    assert world.tokens.verify(world.forged()).client_id == "widget"


def test_a_missing_header_differs_from_a_wrong_token(world):
    with pytest.raises(TokenRefused) as caught:
        world.tokens.verify(None)
    assert caught.value.missing


def test_scopes_are_what_was_asked_for_and_never_more_than_the_client_has(world):
    assert world.tokens.verify(world.bearer("feedback")).scopes == {"feedback"}
    with pytest.raises(ScopeMissing, match="summaries"):
        world.tokens.verify(world.bearer("feedback")).require("summaries")
    with pytest.raises(InvalidScope, match="may have summaries feedback"):
        world.bearer("feedback operator")
    bearer = world.bearer()
    world.keep("widget", scopes=["summaries"])
    world.refresh()
    assert world.tokens.verify(bearer).scopes == {"summaries"}


@pytest.mark.parametrize(
    ("name", "secret"),
    [("widget", "wrong"), ("nobody", SECRET), ("widget", ""), ("", "")],
    ids=["secret", "client", "no", "none"],
)
def test_wrong_credentials_are_refused_alike(world, name, secret):
    with pytest.raises(InvalidClient) as caught:
        world.tokens.issue(name, secret, None)
    assert str(caught.value) == "unknown client, or wrong secret"


def kid(bearer):
    return jwt.get_unverified_header(bearer.removeprefix("Bearer "))["kid"]


def test_tasks_accept_each_others_tokens(world):
    assert world.other.verify(world.bearer()).client_id == "widget"


@pytest.mark.acceptance("promise-10")
def test_a_new_key_signs_when_every_task_knows_it_and_the_old_one_ends_with_its_last_token(world):
    old = world.bearer()
    new_id = world.changes.rotate_key()
    world.live.refresh()  # the other task has not looked yet
    assert kid(world.bearer()) == kid(old)
    world.now += SPREAD_S
    world.other_live.refresh()
    new = world.bearer()
    assert (kid(new), len(world.tokens.keys.jwks()["keys"])) == (new_id, 2)
    for bearer in (old, new):
        world.other.verify(bearer)
    world.now += 3600 + 30
    assert [key["kid"] for key in world.tokens.keys.jwks()["keys"]] == [new_id]
    with pytest.raises(TokenRefused, match="not signed by a key of this service"):
        world.tokens.verify(old)
    world.changes.rotate_key()
    assert kid(old) not in world.changes.token_keys()
    assert json.loads(world.changes.items.read()[f"key/{kid(old)}"])["sealed"] is None


def test_of_two_tasks_that_make_the_first_key_at_the_same_time_one_keeps_it(world):
    for name in list(world.changes.items.read()):
        world.changes.items.remove(name)
    read, other = (
        world.table.items,
        AccessChanges(items=SharedItems(world.table), sealer=world.sealing, now=lambda: 1.0),
    )
    looks = []

    def other_is_faster(*arguments, **more):
        looks.append(arguments)
        if len(looks) == 2:  # after the first look, which found no key
            other.make_first_key()
        return read(*arguments, **more)

    world.table.items = other_is_faster
    world.changes.make_first_key()
    world.changes.make_first_key()
    (name,) = world.changes.token_keys()
    assert world.changes.items.read()["made/first-key"] == name


def test_a_link_opens_once_over_all_tasks_and_once_per_process_while_the_table_is_down(world):
    world.keep("ops", scopes=["operator"])
    world.refresh()
    used = first_use(world.table, lambda: world.now)
    one, other = (
        Sessions(tokens, timer=lambda: world.now, is_first_use=used) for tokens in (world.tokens, world.other)
    )
    ops = world.tokens.verify(f"Bearer {world.tokens.issue('ops', SECRET, None).text}")
    code = one.link(ops).text
    assert asyncio.run(one.from_link(code)).client_id == "ops"
    for sessions in (one, other):
        with pytest.raises(TokenRefused, match="used before"):
            asyncio.run(sessions.from_link(code))
    world.table.down = True
    code = one.link(ops).text
    assert asyncio.run(other.from_link(code)).client_id == "ops"
    with pytest.raises(TokenRefused, match="used before"):
        asyncio.run(other.from_link(code))


def test_a_revoked_keys_tokens_are_refused_and_another_key_takes_its_place(world):
    bearer = world.bearer()
    made = world.changes.revoke_key(kid(bearer))
    world.refresh()
    assert kid(world.bearer()) == made
    with pytest.raises(TokenRefused, match="not signed by a key of this service"):
        world.other.verify(bearer)
    with pytest.raises(ConfigurationError, match="there is no token key"):
        world.changes.revoke_key("unknown")


def test_a_private_key_is_stored_sealed_and_for_its_own_id_alone(world):
    stored = str(world.table.found) + (world.folder / "one" / "copy.json").read_text(encoding="utf-8")
    private = world.tokens.keys.signing()[1]
    for form in (private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex(), "PRIVATE KEY"):
        assert form not in stored
    assert SECRET not in stored
    name = world.tokens.keys.signing()[0]
    other_id, other = new_key(world.sealing, signs_from=world.now)
    swapped = other.model_copy(update={"sealed": json.loads(world.changes.items.read()[f"key/{name}"])["sealed"]})
    world.changes.items.change(f"key/{other_id}", lambda _: swapped.model_dump_json())
    with capture_logs() as logs:
        world.refresh()
    assert [entry["event"] for entry in logs] == ["ACCESS_UNREADABLE"] * 2
    assert world.tokens.keys.public(other_id) is None
    assert (world.folder / "one" / "copy.json").stat().st_mode & 0o777 == 0o600


def test_a_key_is_opened_once_and_a_verified_token_stays_verified(world):
    world.tokens.verify(world.bearer())
    opened, public = world.sealing.opened, world.tokens.keys.public(world.tokens.keys.signing()[0])
    world.keep("another", scopes=["summaries"])
    world.refresh()
    world.refresh()
    assert world.sealing.opened == opened + 2  # the new client's seal, by each task
    assert world.tokens.keys.public(world.tokens.keys.signing()[0]) is public


@pytest.mark.acceptance("event.ACCESS_UNREADABLE")
def test_damaged_items_are_refused_and_stop_no_other(world):
    bearer = world.bearer()
    world.changes.items.change("client/broken", lambda _: "{")
    world.changes.items.change("key/broken", lambda _: '{"public": "rubbish"}')
    with capture_logs() as logs:
        world.live.refresh()
    assert [entry["event"] for entry in logs] == ["ACCESS_UNREADABLE"] * 2
    assert world.tokens.verify(bearer).client_id == "widget"
    assert world.tokens.clients.get("broken") is None


@pytest.mark.parametrize("name", ["client/a", "seal/unsealed", "key/a", "suspended/a"])
def test_no_item_however_deep_keeps_a_revocation_from_being_heard(world, name):
    bearer = world.bearer()
    unsealed = json.dumps({"secrets": [hash_secret(SECRET)], "scopes": ["operator"]})
    world.changes.items.change("client/unsealed", lambda _: unsealed)
    world.changes.items.change(name, lambda _: "[" * 100_000)
    world.changes.revoke_client("widget")
    world.keep("later", scopes=["summaries"])
    world.refresh()
    with pytest.raises(TokenRefused):
        world.other.verify(bearer)
    assert world.tokens.clients.get("later") is not None
    assert world.task("new")[1].clients.get("later") is not None


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"public": "x", "sealed": null, "signs_from": "soon"}'])
def test_a_damaged_key_keeps_no_key_from_being_made_or_revoked(world, text):
    (first,) = world.changes.token_keys()
    world.changes.items.change("key/aa", lambda _: text)
    second = world.changes.rotate_key()
    assert set(world.changes.token_keys()) == {first, second}
    assert world.changes.revoke_key("aa") is None
    assert world.changes.revoke_key(first) is None
    assert set(world.changes.token_keys()) == {second}
    assert "key/aa" not in world.changes.items.read()


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]"])
def test_a_damaged_client_can_be_revoked(world, text):
    world.changes.items.change("client/widget", lambda _: text)
    world.changes.revoke_client("widget")
    assert isinstance(world.changes.clients()["widget"], Revoked)


def test_a_revoked_client_is_refused_by_every_task_and_its_old_tokens_for_good(world):
    bearer = world.bearer()
    world.changes.revoke_client("widget")
    world.refresh()
    for tokens in (world.tokens, world.other):
        with pytest.raises(TokenRefused, match="client has been removed"):
            tokens.verify(bearer)
        with pytest.raises(InvalidClient):
            tokens.issue("widget", SECRET, None)
    with pytest.raises(ConfigurationError, match="there is no client 'widget'"):
        world.changes.revoke_client("widget")
    world.now += 5
    secret = world.changes.add_client("widget", ["summaries"])
    world.refresh()
    with pytest.raises(TokenRefused, match="before its client was revoked"):
        world.tokens.verify(bearer)
    assert world.other.verify(f"Bearer {world.tokens.issue('widget', secret, None).text}").client_id == "widget"


@pytest.mark.acceptance("event.ACCESS_UNREADABLE")
def test_while_the_table_is_down_tasks_go_by_what_they_know_also_after_a_restart(world):
    bearer = world.bearer()
    world.table.down = True
    with pytest.raises(StoreError):
        world.live.refresh()
    assert world.tokens.verify(bearer).client_id == "widget"
    with capture_logs() as logs:
        _, restarted = world.task("one")
    assert [entry["event"] for entry in logs] == ["ACCESS_UNREADABLE"]
    assert restarted.verify(bearer).client_id == "widget"
    assert restarted.issue("widget", SECRET, None).scopes == ("summaries", "feedback")
    with pytest.raises(ConfigurationError, match="clients and token keys cannot be read"):
        world.task("a new disk")


def test_without_kms_a_task_verifies_and_issues_nothing_until_it_is_back(world):
    bearer = world.bearer()
    world.sealing.down = True
    with capture_logs():
        live, restarted = world.task("one")
    assert restarted.verify(bearer).client_id == "widget"
    with pytest.raises(StoreError, match="no token key can be opened"):
        restarted.issue("widget", SECRET, None)
    with pytest.raises(StoreError, match="KMS"):
        live.refresh()
    world.sealing.down = False
    live.refresh()
    assert restarted.issue("widget", SECRET, None).text


def old_folder(folder, clients, *, names=("2026-01-01",)):
    """A folder of files as it was before the table: PEM keys and clients."""
    (folder / "keys").mkdir(parents=True)
    made = []
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        made.append(key)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "keys" / f"{name}.pem").write_bytes(pem)
    (folder / "clients.json").write_text(json.dumps({"clients": clients}), encoding="utf-8")
    return [thumbprint(key.public_key()) for key in made]


def test_a_revocation_does_not_wait_for_the_service_that_opens_keys(world):
    world.changes.rotate_key()
    world.changes.rotate_key()
    world.changes.revoke_client("widget")
    seen = []

    def hangs(sealed, name):
        seen.append(set(world.live.clients()))
        raise StoreError("KMS key 'alias/k' cannot be reached: ReadTimeoutError")

    world.sealing.open = hangs
    with pytest.raises(StoreError):
        world.live.refresh()
    assert seen == [set()]  # and one unanswered call is enough


def test_a_key_that_was_opened_signs_on_when_it_is_given_an_end_while_none_can_be_opened(world):
    before = kid(world.bearer())
    world.changes.rotate_key()
    world.sealing.down = True
    with pytest.raises(StoreError):
        world.live.refresh()
    world.now += SPREAD_S
    assert kid(world.bearer()) == before


def test_clients_and_keys_in_files_are_taken_over_once_and_revoked_ones_do_not_come_back(tmp_path):
    table, sealing = TableInMemory(), Sealing()
    changes = AccessChanges(items=SharedItems(table), sealer=sealing, now=lambda: 1_800_000_000.0)
    known = {"old": {"secrets": [hash_secret(SECRET)], "scopes": ["summaries"], "rate_per_s": 7}}
    names = old_folder(tmp_path, known, names=("2026-02-01", "2026-01-01"))
    assert take_over(tmp_path, changes.items, sealing) == (1, 2)
    live = LiveAccess(changes.items, sealing)
    live.start()
    assert (live.clients()["old"].rate_per_s, set(live.keys())) == (7, set(names))
    assert KeyRing(live.keys, now=changes.now).signing()[0] == names[0]  # the last file name signs, as before
    assert take_over(tmp_path, changes.items, sealing) == (0, 0)
    changes.revoke_client("old")
    changes.revoke_key(names[0])
    changes.rotate_key()
    changes.rotate_key()  # a rotation clears away what has ended
    assert take_over(tmp_path, changes.items, sealing) == (0, 0)
    live.refresh()
    assert live.clients() == {}
    assert KeyRing(live.keys, now=changes.now).public(names[0]) is None


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        ({"a": {"secrets": ["plain"], "scopes": ["summaries"]}}, r"clients\.a\.secrets\.0"),
        ({"a": {"secrets": [hash_secret("s")], "scopes": ["admin"]}}, r"clients\.a\.scopes\.0"),
        ({"a b": {"secrets": [hash_secret("s")], "scopes": ["summaries"]}}, "clients"),
        ({"a": {"secrets": [hash_secret("s")], "scopes": ["summaries"], "rate": 3}}, r"clients\.a\.rate"),
    ],
)
def test_a_wrong_clients_file_is_named_without_its_values_and_nothing_is_taken(tmp_path, clients, message):
    table = TableInMemory()
    old_folder(tmp_path, clients)
    with pytest.raises(ConfigurationError, match=message) as caught:
        take_over(tmp_path, SharedItems(table), Sealing())
    assert "plain" not in str(caught.value)
    assert table.found == {}


def test_a_file_that_is_no_token_key_is_named(tmp_path):
    old_folder(tmp_path, {})
    (tmp_path / "keys" / "2026-09-09.pem").write_text("-----BEGIN PRIVATE KEY-----\nrubbish", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"2026-09-09\.pem cannot be read"):
        take_over(tmp_path, SharedItems(TableInMemory()), Sealing())


def test_the_rate_is_a_bucket_that_fills(world):
    time = [0.0]
    throttle = Throttle(lambda: time[0])
    client = Client(secrets=(hash_secret("s"),), scopes=("summaries",), rate_per_s=2, burst=3)
    caller = Caller(client_id="a", client=client, scopes=frozenset())
    other = Caller(client_id="b", client=client, scopes=frozenset())

    refusals = []

    def passes(who):
        try:
            with throttle.admit(who):
                return True
        except LimitExceeded as err:
            refusals.append(err)
            return False

    assert [passes(caller) for _ in range(5)] == [True, True, True, False, False]
    assert passes(other)
    time[0] += 0.5
    assert [passes(caller) for _ in range(2)] == [True, False]
    time[0] += 1000
    assert [passes(caller) for _ in range(4)] == [True, True, True, False]
    assert {err.kind for err in refusals} == {"rate"}
    assert all(0 < err.retry_after_s <= 0.5 for err in refusals)


@pytest.mark.parametrize(("size", "wait_s"), [(16_383, 0), (16_384, 0.5), (250_000, 7.5)])
def test_a_large_body_costs_as_much_as_many_requests(size, wait_s):
    time = [0.0]
    throttle = Throttle(lambda: time[0])
    client = Client(secrets=(hash_secret("s"),), scopes=("summaries",), rate_per_s=2, burst=2)
    caller = Caller(client_id="a", client=client, scopes=frozenset())
    with throttle.admit(caller):
        throttle.take_for_bytes("a", size)
    for waited, passes in ((wait_s - 0.01, wait_s == 0), (wait_s, True)):
        time[0] = max(waited, 0.0)
        with nullcontext() if passes else pytest.raises(LimitExceeded), throttle.admit(caller):
            pass
        if passes:
            break
    assert throttle.uses()["a"].admitted == 2 + size // 16_384


def test_a_large_body_costs_the_browser_as_much_as_its_client(tmp_path):
    access = open_access(Settings(state_dir=tmp_path))
    client = Client(secrets=(hash_secret("s"),), scopes=("summaries",), rate_per_s=100, burst=1000)
    browsers = [Caller(client_id="a", client=client, scopes=frozenset(), conversation=name) for name in ("one", "two")]
    with access.admit(browsers[0]):
        access.take_for_bytes(browsers[0], 30 * 16_384)
    with pytest.raises(LimitExceeded, match="of this conversation"), access.admit(browsers[0]):
        pass
    with access.admit(browsers[1]):
        pass
    assert access.throttle.uses()["a"].admitted == 32


def test_what_is_in_flight_is_bounded_and_given_back_even_on_failure():
    throttle = Throttle(lambda: 0.0)
    client = Client(secrets=(hash_secret("s"),), scopes=("summaries",), concurrent=1)
    caller = Caller(client_id="a", client=client, scopes=frozenset())
    with pytest.raises(RuntimeError), throttle.admit(caller):  # noqa: PT012 - both happen inside
        with pytest.raises(LimitExceeded) as caught, throttle.admit(caller):
            pass
        assert caught.value.kind == "concurrency"
        raise RuntimeError
    with throttle.admit(caller):
        pass


def test_local_makes_what_is_missing_once_and_for_its_owner_only(tmp_path):
    settings = Settings(state_dir=tmp_path)
    token = local_token(settings)
    access = open_access(settings)
    assert access.verify(f"Bearer {token.text}", "operator").client_id == "local"
    assert access.verify(f"Bearer {local_token(settings, 'feedback').text}", "feedback").scopes == {"feedback"}
    files = list((tmp_path / "access").rglob("*.json"))
    assert len(files) == 4  # a key, who made it, a client and its seal
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert account_key(settings) == account_key(settings)
    open_changes(settings).revoke_client("local")
    with pytest.raises(ConfigurationError, match="omni client local adds it again"):
        local_token(settings)


def test_a_local_client_of_before_may_still_ask_every_task(tmp_path):
    settings = Settings(state_dir=tmp_path)
    before = {
        "secrets": [hash_secret(SECRET)],
        "scopes": ["summaries", "feedback", "operator"],
        "tenant": "demo-tenant",
    }
    open_changes(settings).items.change("client/local", lambda _: json.dumps(before))
    assert open_access(settings).verify(f"Bearer {local_token(settings).text}", "task:shout").client_id == "local"
    assert open_access(settings).verify(f"Bearer {local_token(settings).text}", "tools").client_id == "local"
    narrow = before | {"scopes": ["feedback"]}
    open_changes(settings).items.change("client/local", lambda _: json.dumps(narrow))
    with pytest.raises(ScopeMissing):
        open_access(settings).verify(f"Bearer {local_token(settings).text}", "task:shout")


@pytest.mark.acceptance("tenant-03")
def test_no_client_of_a_tenant_becomes_an_operator(tmp_path):
    changes = open_changes(Settings(state_dir=tmp_path))
    with pytest.raises(ConfigurationError, match=r"may not have scope operator.*give it calls and forms"):
        changes.add_client("lead", ["calls", "operator"], tenant="acme")
    assert "lead" not in changes.clients()
    changes.add_client("lead", ["calls"], tenant="acme")
    with pytest.raises(ConfigurationError, match="may not have scope operator"):
        changes.add_client("lead", ["operator"])
    assert changes.clients()["lead"].scopes == ("calls",)
    changes.add_client("ops", ["operator"])


@pytest.mark.parametrize(
    ("scopes", "named"),
    [
        ("task:nope", "no task 'nope' for scope task:nope; tasks: assistant, route, scorecard, summarize"),
        ("task:Sum", "no task 'Sum'"),
        (
            "tasks",
            r"scope 'tasks' is not valid: scopes are summaries .* calls forms tenants task:<name> task:\*",
        ),
    ],
)
def test_a_scope_that_opens_nothing_is_refused(tmp_path, monkeypatch, scopes, named):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("service.kit.aws.endpoint.with_endpoint", lambda settings: settings)
    with pytest.raises(ConfigurationError, match=named):
        client_command("widget", scopes=scopes)
    assert open_changes(Settings(state_dir=tmp_path)).clients().keys() <= {"local"}


def test_aws_makes_nothing_and_says_what_is_missing(tmp_path):
    settings = Settings(state_dir=tmp_path, environment="aws")
    table = TableInMemory()
    with pytest.raises(ConfigurationError, match="omni token-keys --rotate"):
        open_access(settings, table)
    with pytest.raises(ConfigurationError, match="OMNI_LOG_KEY"):
        account_key(settings)
    with pytest.raises(ConfigurationError, match="`local` only"):
        local_token(settings)
    assert table.found == {}


def test_a_client_gets_a_second_secret_beside_its_first(world):
    first = world.changes.add_client("salesforce", ["summaries"])
    second = world.changes.add_client("salesforce", ["summaries"])
    world.refresh()
    for secret in (first, second):
        assert world.tokens.issue("salesforce", secret, None).scopes == ("summaries",)
    assert first not in str(world.table.found)
    world.changes.add_client("salesforce", ["summaries"])
    world.refresh()
    with pytest.raises(InvalidClient):
        world.other.issue("salesforce", first, None)


def test_a_wrong_name_changes_nothing(world):
    before = dict(world.changes.items.read())
    for name, scopes in (("a b", ["summaries"]), ("c", ["everything"]), ("d", [])):
        with pytest.raises(ConfigurationError):
            world.changes.add_client(name, scopes)
    assert world.changes.items.read() == before


def test_a_conversation_has_a_small_rate_and_few_requests_at_once():
    now = 0.0
    throttle = ConversationThrottle(lambda: now)

    def ask():
        with throttle.admit("parcels/conv-1"):
            pass

    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(throttle.admit("parcels/conv-1"))
        with pytest.raises(LimitExceeded) as caught:
            ask()
        assert caught.value.kind == "concurrency"
        with throttle.admit("parcels/conv-2"):
            pass  # each conversation has its own
    for _ in range(22):  # those that ended are in flight no more
        ask()
    with pytest.raises(LimitExceeded) as caught:
        ask()
    assert (caught.value.kind, caught.value.retry_after_s) == ("rate", 0.5)
    now = 0.5
    ask()


def planted_key(world, **fields):
    """Write a token key of somebody who can write the table and has no right to KMS; return a token signed by it."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    name = thumbprint(public)
    item = {"public": pem, "sealed": None, "signs_from": 0.0, "ends_at": None} | fields
    world.changes.items.change(f"key/{name}", lambda _: json.dumps(item))
    return world.forged(key=private, header={"kid": name}, scope="operator")


@pytest.mark.parametrize("fields", [{}, {"ends_at": 9e9}, {"sealed": "plain:AAAA"}, {"sealed": "turned:x:00"}])
def test_a_key_that_kms_does_not_open_verifies_nothing(world, fields):
    bearer = planted_key(world, **fields)
    world.refresh()
    for tokens in (world.tokens, world.other, world.task("new")[1]):
        with pytest.raises(TokenRefused, match="not signed by a key of this service"):
            tokens.verify(bearer)
    assert world.other.verify(world.bearer()).client_id == "widget"


def test_a_client_that_is_not_sealed_gets_nothing(world):
    sealed = world.changes.items.read()["seal/widget"]
    mine = json.dumps({"secrets": [hash_secret(SECRET)], "scopes": [*SCOPES, "task:*"]})
    world.changes.items.change("client/evil", lambda _: mine)
    world.changes.items.change("client/moved", lambda _: mine)
    world.changes.items.change("seal/moved", lambda _: sealed)
    world.changes.items.change("client/widget", lambda _: mine)  # more scopes for one that is known
    with capture_logs() as logs:
        world.refresh()
    assert {entry["event"] for entry in logs} == {"ACCESS_UNREADABLE"}
    assert "omni clients --seal" in logs[0]["reason"]
    for tokens in (world.tokens, world.other, world.task("new")[1]):
        for name in ("evil", "moved", "widget"):
            with pytest.raises(InvalidClient):
                tokens.issue(name, SECRET, None)


def test_clients_of_an_earlier_version_are_sealed_once(world):
    world.changes.items.remove("seal/widget")
    world.live, world.tokens = world.task("new")
    assert world.live.clients() == {}
    assert seal_all(world.changes.items, world.sealing) == ["widget"]
    assert seal_all(world.changes.items, world.sealing) == []
    world.live.refresh()
    assert set(world.live.clients()) == {"widget"}


def test_what_was_proven_once_lets_a_task_start_while_nothing_can_be_opened(world):
    bearer = world.bearer()
    world.sealing.down = True
    assert world.task("one")[1].verify(bearer).client_id == "widget"
    with pytest.raises(TokenRefused):
        world.task("an empty disk")[1].verify(bearer)


def test_a_token_for_longer_than_an_hour_is_refused(world):
    for claims in ({"exp": world.now + 3601}, {"iat": world.now - 3600}, {"nbf": world.now - 3600}, {"iat": "now"}):
        with pytest.raises(TokenRefused, match=r"for longer|not numbers"):
            world.tokens.verify(world.forged(**claims))

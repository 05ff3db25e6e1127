"""Tokens that hold and tokens that do not, keys and clients that change under way, limits per client."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from structlog.testing import capture_logs

from service.access.clients import Client, Clients, hash_secret, new_secret, read_clients
from service.access.control import account_key, add_client, local_token, open_access
from service.access.errors import InvalidClient, InvalidScope, ScopeMissing, TokenRefused
from service.access.keys import KeyRing, make_key, read_keys, thumbprint
from service.access.throttle import LimitExceeded, Throttle
from service.access.tokens import Caller, Tokens
from service.errors import ConfigurationError
from service.settings import Settings

SECRET = new_secret()


class World:
    """Keys and clients in a folder, and one clock for times and re-reading."""

    def __init__(self, folder):
        self.folder = folder
        self.now = 1_800_000_000.0
        make_key(folder / "keys" / "2026-01-01.pem")
        self.write_clients({"widget": {"secrets": [hash_secret(SECRET)], "scopes": ["summaries", "feedback"]}})
        self.tokens = Tokens(
            KeyRing(folder / "keys", clock=lambda: self.now),
            Clients(folder / "clients.json", clock=lambda: self.now),
            issuer="us",
            audience="us",
            now=lambda: self.now,
        )

    def write_clients(self, clients):
        (self.folder / "clients.json").write_text(json.dumps({"clients": clients}), encoding="utf-8")

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
    world.write_clients({"widget": {"secrets": [hash_secret(SECRET)], "scopes": ["summaries"]}})
    world.now += 6
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


def test_keys_rotate_while_running(world):
    old = world.bearer()
    make_key(world.folder / "keys" / "2026-02-01.pem")
    world.now += 6
    new = world.bearer()
    assert jwt.get_unverified_header(old[7:])["kid"] != jwt.get_unverified_header(new[7:])["kid"]
    assert len(world.tokens.keys.jwks()["keys"]) == 2
    for bearer in (old, new):
        world.tokens.verify(bearer)
    (world.folder / "keys" / "2026-01-01.pem").unlink()
    world.now += 6
    world.tokens.verify(new)
    with pytest.raises(TokenRefused, match="not signed by a key of this service"):
        world.tokens.verify(old)


def test_a_key_that_another_instance_signs_with_already_is_found_at_once(world):
    world.tokens.keys.signing()
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    world.now += 2  # less than the regular interval
    (world.folder / "keys" / "2026-03-01.pem").write_bytes(pem)
    bearer = world.forged(key=other, header={"kid": thumbprint(other.public_key())})
    assert world.tokens.verify(bearer).client_id == "widget"


def test_a_public_key_verifies_and_does_not_sign(world):
    _, key = world.tokens.keys.signing()
    bearer = world.bearer()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (world.folder / "keys" / "2026-01-01.pem").write_bytes(public)
    make_key(world.folder / "keys" / "2025-01-01.pem")
    world.now += 6
    assert world.tokens.keys.signing()[1].public_key() != key.public_key()
    assert world.tokens.verify(bearer).client_id == "widget"


def test_a_damaged_file_leaves_the_last_good_one_in_use(world):
    bearer = world.bearer()
    (world.folder / "keys" / "2026-09-09.pem").write_text("-----BEGIN PRIVATE KEY-----\nrubbish", encoding="utf-8")
    (world.folder / "clients.json").write_text("{", encoding="utf-8")
    world.now += 6
    with capture_logs() as logs:
        assert world.tokens.verify(bearer).client_id == "widget"
    assert {entry["event"] for entry in logs} == {"ACCESS_FILES_UNREADABLE"}
    with pytest.raises(ConfigurationError, match=r"2026-09-09\.pem cannot be read"):
        read_keys(world.folder / "keys")


def test_a_removed_client_is_refused_within_seconds(world):
    bearer = world.bearer()
    world.write_clients({"other": {"secrets": [hash_secret("x")], "scopes": ["summaries"]}})
    world.now += 6
    with pytest.raises(TokenRefused, match="client has been removed"):
        world.tokens.verify(bearer)


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        ({"a": {"secrets": ["plain"], "scopes": ["summaries"]}}, r"clients\.a\.secrets\.0"),
        ({"a": {"secrets": [hash_secret("s")], "scopes": ["admin"]}}, r"clients\.a\.scopes\.0"),
        ({"a b": {"secrets": [hash_secret("s")], "scopes": ["summaries"]}}, "clients"),
        ({"a": {"secrets": [hash_secret("s")], "scopes": ["summaries"], "rate": 3}}, r"clients\.a\.rate"),
    ],
)
def test_a_wrong_clients_file_is_named_without_its_values(world, clients, message):
    world.write_clients(clients)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_clients(world.folder / "clients.json")
    assert "plain" not in str(caught.value)


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


def test_local_makes_its_files_once_and_for_its_owner_only(tmp_path):
    settings = Settings(state_dir=tmp_path)
    token = local_token(settings)
    access = open_access(settings)
    assert access.verify(f"Bearer {token.text}", "operator").client_id == "local"
    assert access.verify(f"Bearer {local_token(settings, 'feedback').text}", "feedback").scopes == {"feedback"}
    for name in ("keys/local.pem", "clients.json", "local-client.secret"):
        assert (tmp_path / "access" / name).stat().st_mode & 0o777 == 0o600
    assert account_key(settings) == account_key(settings)


def test_aws_makes_nothing_and_says_what_is_missing(tmp_path):
    settings = Settings(state_dir=tmp_path, environment="aws")
    with pytest.raises(ConfigurationError, match="OMNI_ACCESS_DIR"):
        open_access(settings)
    with pytest.raises(ConfigurationError, match="OMNI_LOG_KEY"):
        account_key(settings)
    with pytest.raises(ConfigurationError, match="`local` only"):
        local_token(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_client_gets_a_second_secret_beside_its_first(tmp_path):
    settings = Settings(state_dir=tmp_path, access_dir=tmp_path)
    make_key(tmp_path / "keys" / "a.pem")
    first = add_client(settings, "salesforce", ["summaries"])
    second = add_client(settings, "salesforce", ["summaries"])
    tokens = open_access(settings).tokens
    for secret in (first, second):
        assert tokens.issue("salesforce", secret, None).scopes == ("summaries",)
    assert first not in (tmp_path / "clients.json").read_text(encoding="utf-8")
    add_client(settings, "salesforce", ["summaries"])
    with pytest.raises(InvalidClient):
        open_access(settings).tokens.issue("salesforce", first, None)


def test_a_wrong_name_changes_nothing(tmp_path):
    settings = Settings(state_dir=tmp_path, access_dir=tmp_path)
    add_client(settings, "good", ["summaries"])
    before = (tmp_path / "clients.json").read_bytes()
    for name, scopes in (("a b", ["summaries"]), ("c", ["everything"])):
        with pytest.raises(ConfigurationError):
            add_client(settings, name, scopes)
    assert (tmp_path / "clients.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["clients.json"]

"""Events of customers on their way in: what is checked, what is repeated, what goes into quarantine and comes back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from empty_warehouse import empty_warehouse

from service.answers_kept.archive import Listed, Stored
from service.kit.telemetry.fields import account_hash
from service.loading.customers.intake import QUALITY_PREFIX, QUARANTINE_PREFIX, CustomerIntake
from service.loading.customers.record import ArrivedEvent, QuarantineReason
from service.warehouse.duck import DuckWarehouse

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = "2026-10-01T09:00:00Z"


class Bucket:
    """An archive in memory."""

    def __init__(self):
        self.objects = {}

    def put_json(self, key, text):
        self.objects.setdefault(key, text)

    def listed(self, prefix, *, after=""):
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        yield [Listed(key=key, etag="", size=0, modified=NOW) for key in keys]

    def read(self, key, *, most_bytes):
        body = self.objects[key].encode()
        return Stored(etag="", size=len(body), body=body if len(body) <= most_bytes else None)

    def erase(self, keys):
        for key in keys:
            self.objects.pop(key, None)


class Place:
    def __init__(self, path):
        empty_warehouse(path).close()
        self.path, self.bucket, self.now, self.erased = path, Bucket(), NOW, {}
        self.taken = 0

    def intake(self):
        return CustomerIntake(
            archive=self.bucket, open_warehouse=lambda: DuckWarehouse(self.path), tombstones=self, now=lambda: self.now
        )

    def covers(self, names, made_at):
        return any(name in self.erased and made_at <= self.erased[name] for name in names)

    def take(self, *events, arrived_at=NOW):
        self.taken += 1
        bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
        batch = [
            ArrivedEvent(source=f"s/{self.taken}#{number}", body=body, arrived_at=arrived_at)
            for number, body in enumerate(bodies)
        ]
        return self.intake().take(batch, f"s/{self.taken}")

    def rows(self, columns="event_id"):
        warehouse = DuckWarehouse(self.path, read_only=True)
        try:
            return warehouse.query(f"SELECT {columns} FROM omni_customer_events ORDER BY event_id").to_dict("records")
        finally:
            warehouse.close()

    def quarantined(self):
        return {
            key.removeprefix(QUARANTINE_PREFIX): text
            for key, text in self.bucket.objects.items()
            if key.startswith(QUARANTINE_PREFIX)
        }


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "warehouse.duckdb")


def told(event_id, kind="service", **more):
    found = {"schema_version": 1, "tenant": "acme", "customer_id": "c-1", "event_id": event_id, "event_type": kind}
    found |= {"occurred_at": LONG_AGO, "recorded_at": LONG_AGO}
    found |= {"service": "boiler service"} if kind == "service" else {}
    return found | more


KNOWN = told("e-0", "customer", home={"kind": "house", "garden": True, "built": 1968})


def test_good_events_become_rows_without_the_customers_id(place):
    report = place.take(KNOWN, told("e-1", satisfaction=4, amount="120.50"), told("e-2", "payment", amount=10))
    assert (report.events, report.loaded, report.quarantined) == (3, 3, {})
    first, second, third = place.rows("*")
    assert (first["home_kind"], first["home_garden"], first["home_built"]) == ("house", True, 1968)
    assert (second["satisfaction"], second["amount"], third["amount"]) == (4, 120.5, 10)
    assert {row["customer"] for row in (first, second, third)} == {account_hash("c-1")}
    assert "c-1" not in json.dumps([first, second, third], default=str)


@pytest.mark.parametrize(
    ("event", "reason", "detail"),
    [
        (b"{", "not_json", "1 bytes that are not JSON"),
        (b"\xff\xfe", "not_json", "not JSON"),
        (b"[1]", "wrong_schema", "a JSON list"),
        (b'{"x": "' + b"y" * 70_000 + b'"}', "too_large", "at most 65536"),
        (told("e", schema_version=2), "schema_version", "version 2; this program reads 1"),
        (told("e", schema_version="1"), "wrong_schema", "schema_version literal_error"),
        (told("e", satisfaction="4"), "wrong_schema", "satisfaction int_type"),
        (told("e", satisfaction=True), "wrong_schema", "satisfaction int_type"),
        (told("e", occurred_at="yesterday"), "wrong_schema", "occurred_at"),
        (told("e", occurred_at="2026-10-01T09:00:00"), "wrong_schema", "occurred_at timezone_aware"),
        (told("e", colour="red"), "wrong_schema", "colour extra_forbidden"),
        (told("e", amount=float("nan")), "wrong_schema", "amount"),
        (told("e", tenant="ACME"), "wrong_schema", "tenant string_pattern_mismatch"),
        ({"tenant": "acme"}, "wrong_schema", "schema_version missing"),
        (told("e", occurred_at="2027-01-01T00:00:00Z"), "check", "occurred_at: not in the future"),
        (told("e", recorded_at="2027-01-01T00:00:00Z"), "check", "known_at: not in the future"),
        (told("e", satisfaction=6), "check", "satisfaction: 1 to 5"),
        (told("e", satisfaction=2**40), "check", "satisfaction: out of range"),
        (told("e", amount="1e30"), "check", "amount: out of range"),
        (told("e", amount="5000000"), "check", "amount: -1e+06 to 1e+06"),
        (told("e", service=None), "check", "a service names what was done"),
        (told("e", "payment"), "check", "a payment has an amount"),
        (told("e", "payment", amount=1, satisfaction=5), "check", "only a service has a mark"),
        (told("e", customer_id="c-2"), "unknown_customer", "no event of type customer"),
        (told("e", tenant="another"), "unknown_customer", "no event of type customer"),
    ],
)
def test_a_bad_event_goes_into_quarantine_with_its_reason_and_the_others_load(place, event, reason, detail):
    report = place.take(KNOWN, event, told("e-9"))
    assert (report.loaded, report.quarantined) == (2, {reason: 1})
    assert [row["event_id"] for row in place.rows()] == ["e-0", "e-9"]
    ((key, text),) = place.quarantined().items()
    assert key.startswith(f"{reason}/")
    assert detail in json.loads(text)["detail"]


def test_what_is_no_json_is_not_kept_because_nobody_could_erase_it(place):
    place.take(b'{"customer_id": "c-1"')
    (text,) = place.quarantined().values()
    assert "c-1" not in text


def test_a_repeated_event_changes_nothing_and_a_contradiction_is_refused(place):
    place.take(KNOWN, told("e-1", satisfaction=4))
    before = place.rows("*")
    place.now += timedelta(days=1)
    report = place.take(told("e-1", satisfaction=4), told("e-1", satisfaction=4), told("e-1", satisfaction=1))
    assert (report.loaded, report.repeated, report.quarantined) == (0, 2, {"conflict": 1})
    assert str(place.rows("*")) == str(before)


def test_within_one_batch_the_first_of_an_id_counts(place):
    report = place.take(KNOWN, told("e-1", satisfaction=4), told("e-1", satisfaction=4), told("e-1", satisfaction=1))
    assert (report.loaded, report.repeated, report.quarantined) == (2, 1, {"conflict": 1})
    assert [row["satisfaction"] for row in place.rows("event_id, satisfaction")][1] == 4


def test_the_same_id_of_two_tenants_is_two_events(place):
    report = place.take(KNOWN, told("e-0", "customer", tenant="another"))
    assert report.loaded == 2


def test_two_schemas_in_one_batch_are_named_and_the_known_one_loads(place):
    report = place.take(KNOWN, told("e-1"), told("e-2", schema_version=7), told("e-3", schema_version=7))
    assert (report.loaded, report.quarantined, report.versions) == (2, {"schema_version": 2}, {"1": 2, "7": 2})
    assert "  2 schema versions in one batch (1: 2, 7: 2)" in report.lines()


def test_an_event_counts_from_its_arrival_and_history_from_when_it_was_recorded(place):
    place.take(KNOWN)
    place.take(told("e-1", recorded_at="2026-10-03T00:00:00Z"), arrived_at=None)
    times = {row["event_id"]: row["known_at"] for row in place.rows("event_id, known_at")}
    assert times == {"e-0": NOW, "e-1": datetime(2026, 10, 3, tzinfo=UTC)}


def test_an_event_before_its_customer_waits_in_quarantine_and_counts_from_its_replay(place):
    place.take(told("e-1"))
    place.take(KNOWN)
    place.now += timedelta(days=2)
    (report,) = place.intake().replay()
    assert (report.loaded, place.quarantined()) == (1, {})
    assert {row["event_id"]: row["known_at"] for row in place.rows("event_id, known_at")}["e-1"] == place.now


def test_what_fails_again_stays_and_a_letter_follows_its_reason(place):
    place.take(told("e-1"), told("e-2", satisfaction=9), b"{")
    (report,) = place.intake().replay()
    assert report.quarantined == {"unknown_customer": 1, "check": 1}
    assert sorted(key.split("/")[0] for key in place.quarantined()) == ["check", "not_json", "unknown_customer"]
    place.take(KNOWN)
    place.take(told("e-1", satisfaction=5))
    (again,) = place.intake().replay(QuarantineReason.UNKNOWN_CUSTOMER)
    assert again.quarantined == {"conflict": 1}
    assert sorted(key.split("/")[0] for key in place.quarantined()) == ["check", "conflict", "not_json"]


def test_an_erased_customer_stays_erased_and_one_who_comes_back_is_new(place):
    place.erased[account_hash("c-1")] = datetime(2026, 10, 20, tzinfo=UTC)
    report = place.take(KNOWN, told("e-1", recorded_at="2026-11-01T00:00:00Z"))
    assert (report.loaded, report.erased, place.quarantined()) == (0, 2, {})
    later = {"occurred_at": "2026-11-02T00:00:00Z", "recorded_at": None}
    assert place.take(told("e-2", "customer", **later), told("e-3", **later)).loaded == 2


def test_a_quarantined_event_of_an_erased_customer_does_not_come_back(place):
    place.take(told("e-1"))
    place.take(KNOWN)
    place.erased[account_hash("c-1")] = NOW
    (report,) = place.intake().replay()
    assert (report.erased, report.loaded, place.quarantined()) == (1, 0, {})


def test_an_interrupted_batch_is_repeated_without_doubles(place, monkeypatch):
    def broken(self, event, rows):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(DuckWarehouse, "merge", broken)
        with pytest.raises(OSError, match="killed"):
            place.take(KNOWN, told("e-1"), told("e-2", satisfaction=9))
    assert (place.rows(), len(place.quarantined())) == ([], 1)
    place.taken -= 1
    assert place.take(KNOWN, told("e-1"), told("e-2", satisfaction=9)).loaded == 2
    assert len(place.quarantined()) == 1


def test_the_quality_report_is_kept_and_adds_up(place):
    place.erased[account_hash("gone")] = NOW
    report = place.take(
        KNOWN,
        told("e-1", satisfaction=4, recorded_at=None),
        told("e-2"),
        told("e-2"),
        told("e-3", satisfaction=0),
        told("e-4", customer_id="gone"),
    )
    assert report.events == report.loaded + report.repeated + report.erased + report.quarantined.total() == 6
    assert (report.late, report.undated, report.missing["service.satisfaction"]) == (3, 1, 0.5)
    ((key, text),) = ((key, text) for key, text in place.bucket.objects.items() if key.startswith(QUALITY_PREFIX))
    assert json.loads(text)["loaded"] == 3
    assert "c-1" not in key + text


def test_an_empty_batch_is_a_report_of_nothing(place):
    assert place.take().lines() == ["s/1: 0 events, 0 loaded, 0 there already"]

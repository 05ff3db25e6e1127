from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from builders import make_pair

from eval.release.ledger import Ledger, chain_problems
from service.core.release.ledger_copy import ledger_copy
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

PAIR = make_pair()


class FakeTracking:
    """Tags of registry versions in memory; ``run`` is what the MLflow run of every release holds."""

    def __init__(self):
        self.versions = {1: {}}
        self.alias = None
        self.run = None
        self.while_locked = lambda: None

    def version_tags(self, task):
        return [(version, dict(tags)) for version, tags in self.versions.items()]

    def run_attestation(self, run_id):
        return self.run

    @contextmanager
    def release_lock(self, task):
        self.while_locked()
        yield

    def place(self, task, version, tags):
        self.versions[version] |= tags
        self.alias = version


@pytest.fixture
def tracking():
    return FakeTracking()


@pytest.fixture
def ledger(tracking, notary, tmp_path):
    return Ledger("demo", tracking, Settings(ledger_dir=tmp_path), notary.keys)


def evidence(notary, **changes):
    """An attestation that is valid whenever these tests run."""
    return notary.sign(notary.attestation(PAIR, **{"expires_at": datetime(2126, 1, 1, tzinfo=UTC)} | changes))


def publish(ledger, notary, after, why="w", attestation=None):
    return ledger.publish(
        PAIR,
        1,
        kind="promote",
        gate_run_id="r",
        attestation=attestation or evidence(notary),
        why=why,
        from_digest=None,
        after=after,
        signer=notary.signer,
    )


def test_releases_are_chained_and_kept_twice(ledger, tracking, notary, tmp_path):
    for number in range(3):
        assert publish(ledger, notary, number).sequence == number + 1
    entries = ledger.entries()
    assert [(e.release.sequence, e.in_registry, e.in_file) for e in entries] == [(n, True, True) for n in (1, 2, 3)]
    assert [e.release.previous for e in entries] == [None, entries[0].digest, entries[1].digest]
    assert chain_problems(entries) == {}
    assert tracking.alias == 1
    assert len((tmp_path / "demo.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_of_two_concurrent_promotions_the_second_is_refused(ledger, tracking, notary):
    publish(ledger, notary, 0)

    def other():
        tracking.while_locked = lambda: None
        publish(ledger, notary, 1, "the other was faster")

    tracking.while_locked = other
    with pytest.raises(RegistryError, match="production changed while"):
        publish(ledger, notary, 1)
    assert [release.why for release in ledger.releases()] == ["the other was faster", "w"]


def test_a_release_removed_from_the_registry_is_still_known(ledger, tracking, notary):
    publish(ledger, notary, 0)
    publish(ledger, notary, 1)
    del tracking.versions[1]["omni.release.000002"]
    entries = ledger.entries()
    assert [(e.release.sequence, e.in_registry) for e in entries] == [(1, True), (2, False)]
    # Its number is not given away again.
    with pytest.raises(RegistryError, match="production changed"):
        publish(ledger, notary, 1)
    assert publish(ledger, notary, 2).sequence == 3


def test_a_copy_that_lags_behind_is_completed(ledger, notary, tmp_path):
    publish(ledger, notary, 0)
    (tmp_path / "demo.jsonl").unlink()
    assert [entry.in_file for entry in ledger.entries()] == [False]
    publish(ledger, notary, 1)
    assert [entry.in_file for entry in ledger.entries()] == [True, True]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "fail"}, "the gate's verdict was 'fail'"),
        ({"scope": "other"}, "not the suite's whole gate set"),
        ({"expires_at": datetime(2026, 11, 20, 1, tzinfo=UTC)}, "its attestation had expired"),
        ({"baseline_digest": "b" * 64}, "not compared with the pair that it replaced"),
        ({"issued_at": datetime(2125, 1, 1, tzinfo=UTC)}, "before its attestation"),
    ],
)
def test_a_release_that_services_would_refuse_is_not_written(ledger, tracking, notary, change, reason):
    with pytest.raises(RegistryError, match=reason):
        publish(ledger, notary, 0, attestation=evidence(notary, **change))
    assert (tracking.versions, tracking.alias, ledger.entries()) == ({1: {}}, None, [])


def test_with_a_clock_that_went_back_nothing_is_promoted_and_the_way_back_stays_open(ledger, tracking, notary):
    # An attestation that has expired would look valid again.
    ahead = notary.release(PAIR, 1, registry_version=1, at=(datetime.now(UTC) + timedelta(days=3)).isoformat())
    tracking.versions[1][ahead.tag] = notary.sign(ahead)
    with pytest.raises(RegistryError, match=r"release 1 is dated .*: this machine's clock .* went back"):
        publish(ledger, notary, 1)
    back = ledger.publish(
        PAIR,
        1,
        kind="rollback",
        gate_run_id="r",
        attestation=evidence(notary),
        why="w",
        from_digest=PAIR.digest,
        after=1,
        signer=notary.signer,
    )
    assert back.sequence == 2


def test_a_missing_link_is_named(ledger, tracking, notary, tmp_path):
    for number in range(3):
        publish(ledger, notary, number)
    del tracking.versions[1]["omni.release.000002"]
    path = tmp_path / "demo.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[2]]), encoding="utf-8")
    problems = chain_problems(ledger.entries())
    assert list(problems) == [2]
    assert "it is missing; restore it" in problems[2]


def test_a_link_to_something_else_and_a_second_of_one_number_are_named(ledger, tracking, notary):
    publish(ledger, notary, 0)
    release = notary.release(PAIR, 2, registry_version=1, previous="f" * 64)
    tracking.versions[1][release.tag] = notary.sign(release)
    assert "follows on ffffffffffff, but release 1 is" in chain_problems(ledger.entries())[2]
    twin = notary.release(PAIR, 1, registry_version=2)
    tracking.versions[2] = {twin.tag: notary.sign(twin)}
    assert "two different releases 1" in chain_problems(ledger.entries())[1]


def test_forged_and_copied_entries_are_named_and_never_counted(ledger, tracking, notary, tmp_path):
    publish(ledger, notary, 0)
    forged = notary.release(PAIR, 9, registry_version=1)
    tracking.versions[1][forged.tag] = type(notary)().sign(forged)
    tracking.versions[2] = {"omni.release.000001": tracking.versions[1]["omni.release.000001"]}
    with (tmp_path / "demo.jsonl").open("a", encoding="utf-8") as file:
        file.write("half a li\n")
    problems = [entry.problem for entry in ledger.entries() if entry.release is None]
    assert len(problems) == 3
    assert any("release 9 at version 1 is signed by" in problem for problem in problems)
    assert any("release 1 at version 2 is a copy of release 1" in problem for problem in problems)
    assert any("line 2 of" in problem and "is no signed statement" in problem for problem in problems)
    assert [release.sequence for release in ledger.releases()] == [1]
    assert publish(ledger, notary, 1).sequence == 2


def test_an_attestation_is_found_by_digest_wherever_it_is(ledger, tracking, notary):
    genuine = notary.sign(notary.attestation(PAIR))
    release = publish(ledger, notary, 0, attestation=genuine)
    assert ledger.attestation(release) == genuine
    name = next(tag for tag in tracking.versions[1] if tag.startswith("omni.attestation."))
    tracking.versions[1][name] = notary.sign(notary.attestation(PAIR, case_count=1))
    assert ledger.attestation(release) is None
    tracking.run = genuine
    assert ledger.attestation(release) == genuine


def test_the_ledger_copy_is_beside_a_sqlite_store_or_in_the_state_folder(tmp_path):
    sqlite = Settings(registry_uri=f"sqlite:///{tmp_path}/a%20b/mlflow.db")
    assert ledger_copy("demo", sqlite) == tmp_path / "a b" / "ledger" / "demo.jsonl"
    remote = Settings(registry_uri="https://mlflow.example", state_dir=tmp_path)
    assert ledger_copy("demo", remote) == tmp_path / "ledger" / "demo.jsonl"

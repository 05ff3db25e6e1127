"""What the warehouse hears of a release: only what verifies, and never at the price of the release itself."""

import json
from dataclasses import replace

import pytest
from builders import make_pair

import eval.release.announce as announcing
from eval.release.announce import ReleaseDesk, announce, bucket_settings, export_releases, promises_of
from service.canonical import sha256_hex
from service.errors import RegistryError, StoreError
from service.release.statements import envelope_digest
from service.settings import Settings
from service.warehouse.duck import DuckWarehouse

METRIC = {"value": 0.9, "low": 0.85, "high": 0.94, "n": 200, "unscored": 0, "unit": "rate"}
FIGURES = json.dumps(
    {"metrics": {"supported": METRIC}, "backup_metrics": {"supported": METRIC | {"n": 40}}, "checks": []}
)
PAIR = make_pair(version="1.2.0")


class Tracking:
    figures: str | None = FIGURES

    def artifact(self, run_id, name):
        assert name == "figures.json"
        return self.figures

    def pair_of(self, task, version):
        return PAIR


class Ledger:
    def __init__(self, release, envelope):
        self.release, self.envelope = release, envelope

    def releases(self):
        return [self.release]

    def attestation(self, release):
        return self.envelope


@pytest.fixture
def desk(notary):
    envelope = notary.sign(notary.attestation(PAIR, figures_digest=sha256_hex(FIGURES)))
    release = notary.release(PAIR, attestation=envelope_digest(envelope, "it"))
    made = object.__new__(ReleaseDesk)
    made._keys, made._tracking, made._ledger = notary.keys, Tracking(), Ledger(release, envelope)
    return made


def test_a_release_goes_with_the_figures_that_its_attestation_fixes(desk):
    (told,) = desk.all()
    assert told.lacking is None
    assert (told.record.prompt_version, told.record.pair, told.record.sequence) == ("1.2.0", "p", 1)
    assert [(one.metric, one.value, one.low, one.high, one.n, one.unit) for one in told.record.promises] == [
        ("supported", 0.9, 0.85, 0.94, 200, "rate"),
        ("backup.supported", 0.9, 0.85, 0.94, 40, "rate"),
    ]


@pytest.mark.parametrize(("figures", "says"), [(FIGURES.replace("0.9,", "0.99,"), "were changed"), (None, "are gone")])
def test_figures_that_do_not_verify_are_left_out_and_said(desk, figures, says):
    desk._tracking.figures = figures
    (told,) = desk.all()
    assert told.record.promises == ()
    assert says in told.lacking


def test_an_attestation_that_is_gone_is_said(desk):
    desk._ledger.envelope = None
    (told,) = desk.all()
    assert (told.record.promises, "is gone" in told.lacking) == ((), True)


def test_exported_rows_are_there_once(desk, tmp_path):
    settings = Settings(state_dir=tmp_path)
    assert export_releases(desk.all(), settings) == 3
    assert export_releases(desk.all(), settings) == 0
    warehouse = DuckWarehouse(settings.warehouse_file, read_only=True)
    found = warehouse.query(
        "SELECT pair, n FROM omni_releases r JOIN omni_promises p USING (sequence) WHERE metric = 'supported'"
    )
    warehouse.close()
    assert found.to_dict("records") == [{"pair": "p", "n": 200}]


def test_what_the_loader_would_refuse_is_not_exported(desk, tmp_path):
    (told,) = desk.all()
    future = replace(
        told, record=told.record.model_copy(update={"released_at": told.record.released_at.replace(year=2999)})
    )
    with pytest.raises(RegistryError, match="not in the future"):
        export_releases([future], Settings(state_dir=tmp_path))


@pytest.fixture
def release(desk):
    return desk._ledger.release


def test_without_a_bucket_a_release_stands_and_the_line_says_what_to_run(release, tmp_path):
    settings = Settings(state_dir=tmp_path, local_aws_port=1)
    assert bucket_settings(settings) is None
    note = announce(release, settings)
    assert "release 1 yet" in note
    assert "omni releases --task demo" in note


def test_a_bucket_that_is_down_takes_nothing_from_the_release(release, desk, tmp_path, monkeypatch):
    def down(told, settings):
        raise StoreError("bucket 'x' cannot be reached")

    monkeypatch.setattr(announcing, "ReleaseDesk", lambda task, settings: desk)
    monkeypatch.setattr(announcing, "put_releases", down)
    note = announce(release, Settings(state_dir=tmp_path, aws_endpoint="http://127.0.0.1:1"))
    assert "cannot be reached; tell it later: omni releases" in note


def test_promises_of_nothing_are_none():
    assert promises_of('{"metrics": {}, "backup_metrics": {}}') == ()

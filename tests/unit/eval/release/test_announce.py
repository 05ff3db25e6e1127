"""What the warehouse hears of a release: only what verifies, and never at the price of the release itself."""

import json
from dataclasses import replace

import pytest
from builders import make_pair

import eval.release.announce as announcing
from eval.release.announce import announce, bucket_settings, export_releases, message_of, promises_of
from service.core.release.statements import envelope_digest
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import RegistryError, StoreError
from service.kit.settings import Settings
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
    def __init__(self, release, envelope, keys):
        self.release, self.envelope, self.keys, self.tracking = release, envelope, keys, Tracking()

    def attestation(self, release):
        return self.envelope

    def message(self):
        return message_of(self.release, self)


@pytest.fixture
def ledger(notary):
    envelope = notary.sign(notary.attestation(PAIR, figures_digest=sha256_hex(FIGURES)))
    return Ledger(notary.release(PAIR, attestation=envelope_digest(envelope, "it")), envelope, notary.keys)


def test_a_release_is_sent_with_the_attested_figures(ledger):
    message = ledger.message()
    assert message.missing is None
    assert (message.record.prompt_version, message.record.pair, message.record.sequence) == ("1.2.0", "p", 1)
    assert [(one.metric, one.value, one.low, one.high, one.n, one.unit) for one in message.record.promises] == [
        ("supported", 0.9, 0.85, 0.94, 200, "rate"),
        ("backup.supported", 0.9, 0.85, 0.94, 40, "rate"),
    ]


@pytest.mark.parametrize(("figures", "says"), [(FIGURES.replace("0.9,", "0.99,"), "were changed"), (None, "are gone")])
def test_figures_that_do_not_verify_are_left_out_with_the_reason(ledger, figures, says):
    ledger.tracking.figures = figures
    message = ledger.message()
    assert message.record.promises == ()
    assert says in message.missing


def test_a_missing_attestation_is_reported(ledger):
    ledger.envelope = None
    message = ledger.message()
    assert (message.record.promises, "is gone" in message.missing) == ((), True)


def test_exporting_twice_adds_no_rows(ledger, tmp_path):
    settings = Settings(state_dir=tmp_path)
    assert export_releases([ledger.message()], settings) == 3
    assert export_releases([ledger.message()], settings) == 0
    warehouse = DuckWarehouse(settings.warehouse_file, read_only=True)
    found = warehouse.query(
        "SELECT pair, n FROM omni_releases r JOIN omni_promises p USING (sequence) WHERE metric = 'supported'"
    )
    warehouse.close()
    assert found.to_dict("records") == [{"pair": "p", "n": 200}]


def test_a_release_that_the_loader_would_refuse_is_not_exported(ledger, tmp_path):
    message = ledger.message()
    future = replace(
        message, record=message.record.model_copy(update={"released_at": message.record.released_at.replace(year=2999)})
    )
    with pytest.raises(RegistryError, match="not in the future"):
        export_releases([future], Settings(state_dir=tmp_path))


@pytest.fixture
def release(ledger):
    return ledger.release


def test_without_a_bucket_a_release_succeeds_with_a_hint_to_send_it_later(release, tmp_path):
    settings = Settings(state_dir=tmp_path, local_aws_port=1)
    assert bucket_settings(settings) is None
    note = announce(release, settings)
    assert "release 1 yet" in note
    assert "omni releases --export --task demo" in note


def test_a_bucket_that_is_down_takes_nothing_from_the_release(release, ledger, tmp_path, monkeypatch):
    def down(message, settings):
        raise StoreError("bucket 'x' cannot be reached")

    monkeypatch.setattr(announcing.Ledger, "open", lambda task, settings: ledger)
    monkeypatch.setattr(announcing, "put_releases", down)
    note = announce(release, Settings(state_dir=tmp_path, aws_endpoint="http://127.0.0.1:1"))
    assert "cannot be reached; send it later: " in note
    assert note.endswith("omni releases --task demo")


def test_promises_of_nothing_are_none():
    assert promises_of('{"metrics": {}, "backup_metrics": {}}') == ()

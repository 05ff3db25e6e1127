"""Releases that an earlier version of this project stored keep verifying: for the audit, and for a service that loads them.

The store was written on 2026-11-22 by commit 4586544, the last one before the packages were grouped into rooms: pair `extractive`
promoted as v1, promoted as v2, rolled back to v1. It holds public keys only.
"""

import sqlite3
import tarfile
from pathlib import Path

import pytest

from eval.release.audit import Audit
from service.core.release.registry import RegistryPairSource
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own dependencies warn
STORED = Path(__file__).resolve().parents[1] / "recorded" / "store_2026_11_22.tar.xz"
PAIR_FILE = STORED.parent / "summarize" / "extractive.prompty"  # as it was promoted
STORED_UNDER = "/srv/omni"  # the folder that the store's artifact addresses name


@pytest.fixture
def settings(tmp_path):
    with tarfile.open(STORED) as archive:
        archive.extractall(tmp_path, filter="data")
    database = sqlite3.connect(tmp_path / "mlflow" / "store" / "mlflow.db")
    for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
        database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (STORED_UNDER, str(tmp_path)))
    database.commit()
    database.close()
    return Settings(
        root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/store/mlflow.db"
    )


def test_every_release_verifies_down_to_the_per_case_tables(settings):
    audit = Audit("summarize", settings)
    items = list(audit.items())
    assert [item.problem for item in items if item.problem] == []
    assert len(items) == 15
    assert [row.problem for row in audit.history()] == [None, None, None]


def test_a_service_serves_the_stored_release(settings):
    source = RegistryPairSource("summarize", settings)
    source.refresh()
    served = source.current()
    assert (served.pair.name, served.pair.version, served.sequence) == ("extractive", "1.0.0", 3)


def test_a_service_without_a_registry_serves_the_stored_last_known_good(settings):
    (settings.root / "mlflow" / "store" / "mlflow.db").unlink()
    source = RegistryPairSource("summarize", settings)
    source.refresh()
    assert (source.current().pair.version, source.current().sequence) == ("1.0.0", 3)


def test_stored_evidence_does_not_state_what_nobody_looked_at_and_is_shown_so(settings):
    row = Audit("summarize", settings).history()[0]
    assert (row.attestation.unseen, row.entry.release.unseen_allowed_in) == (None, None)
    assert row.attestation.headline == "pass for form and figures; whether anybody looked at meaning is not stated"


def test_a_service_in_prod_does_not_serve_stored_evidence_that_does_not_state_it(settings):
    prod = settings.model_copy(update={"stage": "prod"})
    source = RegistryPairSource("summarize", prod)
    source.refresh()
    assert "release 3 of version 1" in source.status().last_error
    assert "not taken in stage 'prod': whether anybody looked at meaning is not stated" in source.status().last_error
    allowing = RegistryPairSource("summarize", prod.model_copy(update={"release_unseen": "allow"}))
    allowing.refresh()
    assert allowing.current().sequence == 3


def test_the_pairs_digest_is_computed_as_before(settings):
    audit = Audit("summarize", settings)
    stored = audit.history()[0].entry.release
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    assert (
        load_pair(PAIR_FILE, cards=cards, task_variables=load_task("summarize").variables).digest == stored.pair_digest
    )


def test_a_changed_envelope_is_told(settings):
    ledger = settings.root / "mlflow" / "store" / "ledger" / "summarize.jsonl"
    lines = ledger.read_text(encoding="utf-8").splitlines()
    ledger.write_text("\n".join([lines[0].replace('"sig"', '"gis"', 1), *lines[1:]]) + "\n", encoding="utf-8")
    assert any(item.problem for item in Audit("summarize", settings).items())

"""The inventory of places that keep customers names every table, prefix, event and folder that the code names."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.channels.phone.build import SEALED_AS as VOICEMAIL
from service.desk.callback import SEALED_AS as CALLBACK
from service.kit.aws import stores
from service.kit.aws.stores import TABLES
from service.kit.settings import setting_places
from service.privacy.erasure.places import Place, inventory
from service.rollouts.shadow_record import SHADOW_PREFIX
from service.warehouse.events import TABLES as EVENTS

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for room in ("eval", "omni", "reports", "service") for path in (ROOT / room).rglob("*.py")]
REMEDY = (
    "say in service/privacy/erasure/places.yaml what it holds of customers and how that is found, or why it holds none"
)


def test_every_table_and_every_queue_is_listed():
    assert {shape.setting for shape in TABLES} == set(inventory().tables), REMEDY
    assert {shape.setting for shape in stores.QUEUES} == set(inventory().queues), REMEDY


def test_every_table_of_the_warehouse_is_listed_with_columns_that_exist():
    assert {event.table for event in EVENTS} == set(inventory().warehouse), REMEDY
    for event in EVENTS:
        assert set(inventory().warehouse[event.table].found_by) <= set(event.model_fields)


def test_every_bucket_and_every_prefix_in_the_code_is_listed():
    buckets = {place.bucket for place in inventory().prefixes.values()}
    assert buckets == {"records_bucket", *(bucket.setting for bucket in stores.BUCKETS)}, REMEDY
    listed = set(inventory().prefixes)
    assert set(stores.ARCHIVE.announced) | {SHADOW_PREFIX} <= listed, REMEDY
    written = {
        found
        for path in CODE
        for found in re.findall(r'"(omni-[a-z]+/(?:[a-z-]+/)?)"', path.read_text(encoding="utf-8"))
    }
    assert "omni-channel/dead/" in written
    assert written <= listed, REMEDY


def test_every_folder_under_the_state_folder_is_listed():
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## State on disk")[2]
    told = {name.removeprefix(".omni/").split("/")[0] for name in re.findall(r"`(\.omni/[^`]+?)/?`", table)}
    assert "spool" in told
    in_code = {
        found for path in CODE for found in re.findall(r'state_dir / "([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    assert "harvest" in in_code
    assert told | in_code <= set(inventory().folders), REMEDY


def test_setting_names_of_stores_lead_to_a_listed_place():
    named = {name for name in setting_places() if name.endswith(("_table", "_bucket"))}
    assert named - set(inventory().tables) - {place.bucket for place in inventory().prefixes.values()} == {
        "evidence_bucket"  # evidence of releases: figures over cases
    }, REMEDY


def _resources(kind):
    """Yield stack, logical id without its hash, and properties of each resource of a kind in prod's templates."""
    for file in sorted((ROOT / "infra" / "cdk" / "templates" / "prod").glob("*.json")):
        for name, resource in json.loads(file.read_text(encoding="utf-8"))["Resources"].items():
            if resource["Type"] == kind:
                yield file.stem, re.sub(r"[0-9A-F]{8}$", "", name), resource["Properties"]


@pytest.mark.acceptance("operation-20")
def test_every_log_and_every_bucket_of_the_stacks_is_listed():
    logs = {properties["LogGroupName"] for _, _, properties in _resources("AWS::Logs::LogGroup")}
    assert "/aws/lex/omni-assistant" in logs
    assert logs <= set(inventory().elsewhere), REMEDY
    known = {"".join(word.capitalize() for word in shape.setting.split("_")) for shape in stores.BUCKETS}
    known |= {"AccessLogs", "RecordsBucket"}
    others = {
        f"{stack} {name.removesuffix('Bucket')}"
        for stack, name, _ in _resources("AWS::S3::Bucket")
        if name not in known
    }
    assert len(others) >= 3
    assert others <= set(inventory().elsewhere), REMEDY


def test_sealed_numbers_are_opened_as_they_were_sealed():
    sealed = {setting: place.sealed.sealed_as for setting, place in inventory().tables.items() if place.sealed}
    assert sealed == {"callbacks_table": CALLBACK, "voicemails_table": VOICEMAIL}


@pytest.mark.parametrize("says", [{}, {"none": "nobody", "outside": "others"}, {"holds": "customers"}])
def test_a_place_says_how_or_why(says):
    with pytest.raises(ValidationError, match="one of found_by, none and outside"):
        Place.model_validate(says)

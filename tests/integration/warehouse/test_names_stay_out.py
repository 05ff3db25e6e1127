"""Presidio redacts the texts that are loaded: a name that the patterns leave is in no column of the warehouse's file."""

from contextlib import closing
from functools import partial

import loadable
import pytest

from service.core.redaction import presidio
from service.core.redaction.build import build_text_redactor
from service.kit.settings import Settings
from service.loading.bulk import BulkLoader
from service.warehouse.duck import DuckWarehouse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not presidio.is_installed(), reason="an optional extra: omni-insights[redaction]"),
]
SUMMARY = "the customer's wife sandra miller paid $284.60 on Nov 3. Nothing else is open."
COMMENT = "My name is marcus teague, and sandra miller says this is wrong"


@pytest.mark.parametrize(("redactor", "there"), [("patterns", True), ("presidio", False)])
def test_a_name_in_small_letters_is_left_by_patterns_alone(tmp_path, redactor, there):
    first = loadable.summary(1, summary=SUMMARY)
    verdict = loadable.feedback(1, of=first, comment=COMMENT, edited_summary=SUMMARY)
    lines = tmp_path / "events.jsonl"
    lines.write_text("".join(one.model_dump_json() + "\n" for one in (first, verdict)))
    path = tmp_path / "house.duckdb"
    loader = BulkLoader(
        open_warehouse=partial(DuckWarehouse, path),
        account_key=b"k" * 32,
        redactor=partial(build_text_redactor, Settings(warehouse_redactor=redactor)),
        processes=1,
        now=lambda: loadable.NOW,
    )
    tally, _ = loader.load(lines)
    assert (tally.loaded, tally.withheld) == (2, 0)
    with closing(DuckWarehouse(path, read_only=True)) as warehouse:
        summary = warehouse.query("SELECT summary_text FROM omni_summaries")["summary_text"][0]
        comment, edited = warehouse.query("SELECT comment, edited_summary FROM omni_feedback").iloc[0]
    assert ("sandra" in summary, "sandra" in comment, "sandra" in edited) == (there,) * 3
    assert "$284.60 on Nov 3." in summary
    assert "marcus" not in comment

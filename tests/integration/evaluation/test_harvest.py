"""From an unhelpful summary to a case that fails the pair it came from: real stores, a real warehouse, real processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.answers_kept.archive import Archive
from service.answers_kept.record import SeenInteraction, SummaryRecord, utc_text
from service.core.run.task import load_task
from service.core.tasks.summarize.digest import extractive_digest
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
from service.core.unit.pair_file import load_pair
from service.interactions.table import InteractionTable
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.local import aws

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "4400558812"
AT = datetime(2026, 11, 11, 15, 0, tzinfo=UTC)
FACT = "The terrier behind the gate is blind and must hear a voice first."
TEXTS = (
    f"Meter tech note for acct {ACCOUNT}: disputes $118.40 fee of 10/2, promised call back by 10/9, still open. $20.00 credit "
    "pending, escalated to billing supervisor. Deposit $150.00 not yet refunded, never heard back about the $35.00 charge.",
    "Customer complains again: no response by 10/16, outage credit $12.50 still pending, refund of $118.40 not yet posted, "
    f"shut-off notice dated 10/28 for $402.77. {FACT} Supervisor will call back by 10/20 about the $35.00 reconnect fee.",
    "Payment arrangement of $134.26 due 11/3, 11/17 and 12/1, first not paid. Disconnect pending 11/20 unless $134.26 is "
    "received. Dispute of $118.40 escalated, credit of $20.00 never posted, medical form requested by 11/14.",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def settings(tmp_path):
    """A root with the extractive pair and dev in the gate's place, and a local AWS of its own."""
    (tmp_path / "prompts" / "summarize").mkdir(parents=True)
    (tmp_path / "datasets" / "summarize").mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", tmp_path / "prompts")
    shutil.copy(ROOT / "prompts" / "summarize" / "extractive.prompty", tmp_path / "prompts" / "summarize")
    shutil.copy(ROOT / "datasets" / "summarize" / "dev.jsonl", tmp_path / "datasets" / "summarize" / "gate.jsonl")
    (tmp_path / "datasets" / "summarize" / "README.md").write_text(
        "# Card\n\n| file | rows | sha256 | for |\n|---|---|---|---|\n| `gate.jsonl` | 40 cases | `x` | the gate |\n\nend\n",
        encoding="utf-8",
    )
    base = Settings(
        root=tmp_path,
        state_dir=tmp_path / "state",
        registry_uri=f"sqlite:///{tmp_path}/mlflow.db",
        local_aws_port=free_port(),
    )
    aws.start(base)
    try:
        yield base.model_copy(update={"aws_endpoint": aws.endpoint(base)})
    finally:
        aws.ministack(base).stop()


def run(settings, *arguments):
    environment = os.environ | {
        "OMNI_ROOT": str(settings.root),
        "OMNI_STATE_DIR": str(settings.state_dir),
        "OMNI_REGISTRY_URI": settings.registry.uri,
        "OMNI_AWS_ENDPOINT": settings.aws.endpoint,
        "PYTHONPATH": str(ROOT),
    }
    line = [sys.executable, "-m", "omni", *arguments]
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def keep(settings):
    """Write what the service would have kept of one unhelpful summary: history, record, verdict; return the record."""
    history = [
        Interaction(
            interaction_id=f"n{number}",
            channel="agent",
            timestamp=AT - timedelta(days=30 - 10 * number),
            intent="FeeDispute",
            text=text,
        )
        for number, text in enumerate(TEXTS)
    ]
    pair = load_pair(
        settings.prompts_dir / "summarize" / "extractive.prompty",
        cards=ModelCards.load(settings.prompts_dir / "models.yaml"),
        task_variables=load_task("summarize").variables,
    )
    record = SummaryRecord(
        unique_process_id="p1",
        request_id="req-000000000001",
        account_number=ACCOUNT,
        contact_id="c-1",
        initial_contact_id="c-1",
        ivr_intent="FeeDispute",
        summary=extractive_digest(history),
        date_range=None,
        model_used="extractive-digest",
        answered_by="extractive-digest",
        arm="primary",
        cache_hit=False,
        prompt_cache_read_tokens=0,
        latency_ms=9,
        generated_at=utc_text(AT),
        max_history_days=90,
        max_interactions=10,
        channel_filter=None,
        prompt_version="v1.0.0",
        pair=pair.name,
        pair_digest=pair.digest,
        registry_version=1,
        degraded=False,
        cost_usd="0",
        interactions_considered=3,
        interactions=tuple(map(SeenInteraction.of, history)),
    )
    assert "terrier" not in record.summary, "the digest has become better: tell another story here"
    InteractionTable(client("dynamodb", settings), settings.stores.interactions_table).put_many(ACCOUNT, history)
    archive = Archive(client("s3", settings), settings.stores.archive_bucket)
    archive.put(record)
    verdict = {
        "feedback_id": "fb-1",
        "feedback_timestamp": utc_text(AT + timedelta(minutes=5)),
        "helpful_feedback": "not_helpful",
        "comment": f"Nobody told me about the dog of {ACCOUNT}!",
        "edited_summary": FACT,
        **{
            name: getattr(record, name)
            for name in (
                "unique_process_id",
                "request_id",
                "account_number",
                "contact_id",
                "initial_contact_id",
                "generated_at",
                "model_used",
                "answered_by",
                "prompt_version",
                "pair",
                "pair_digest",
                "latency_ms",
                "cache_hit",
                "degraded",
            )
        },
    }
    archive.put_json("omni-channel/feedback/year=2026/month=11/day=11/hour=15/fb-1.json", json.dumps(verdict))
    return record


def test_a_harvested_case_fails_the_very_pair_it_came_from(settings):
    record = keep(settings)
    loaded = run(settings, "load-events", "--once", "--since", "all")
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr

    proposed = run(settings, "harvest", "propose", "--week", "2026-W46")
    assert "1 proposed" in proposed.stdout, proposed.stdout + proposed.stderr
    again = run(settings, "harvest", "propose", "--week", "2026-W46")
    assert "0 proposed, 1 there before" in again.stdout
    assert "proposed before: 1" in again.stdout

    path = settings.state_dir / "harvest" / "summarize.jsonl"
    assert path.stat().st_mode & 0o077 == 0
    text = path.read_text(encoding="utf-8")
    assert ACCOUNT not in text
    proposal = json.loads(text)
    assert proposal["provenance"]["request_id"] == record.request_id
    assert proposal["provenance"]["reason"] == "edited+not_helpful"
    assert proposal["comment"] == "Nobody told me about the dog of [number]!"

    # A person says yes too soon: refused, with what is missing.
    path.write_text(json.dumps(proposal | {"decision": "accept"}) + "\n", encoding="utf-8")
    refused = run(settings, "harvest", "accept")
    assert refused.returncode == 1
    assert "reference 1 has" in refused.stdout
    assert not (settings.datasets_dir / "summarize" / "regression.jsonl").exists()

    reference = (
        "Disputes the $118.40 fee since Oct 2; promised calls by Oct 9 and Oct 20 did not come, and the $20.00 credit is still "
        "pending. A shut-off for $402.77 was announced; the first of three $134.26 payments, due Nov 3, was missed. Before "
        "anybody enters: the terrier behind the gate is blind and must hear a voice first."
    )
    proposal["case"]["expectations"] = {
        "references": [reference],
        "facts": [
            {
                "statement": "The dog behind the gate is blind",
                "accepted": ["terrier + blind", "dog + blind"],
                "interaction_id": "i2",
                "span": FACT,
            }
        ],
        "open_items": ["call back about the $118.40"],
    }
    path.write_text(json.dumps(proposal | {"decision": "accept"}) + "\n", encoding="utf-8")
    before = run(settings, "eval", "--pairs", "extractive")
    assert "regression case" not in before.stdout
    accepted = run(settings, "harvest", "accept")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    card = (settings.datasets_dir / "summarize" / "README.md").read_text(encoding="utf-8")
    assert "| `regression.jsonl` | 1 cases |" in card

    after = run(settings, "eval", "--pairs", "extractive")
    assert after.returncode == 1, after.stdout + after.stderr
    assert "FAIL fact_coverage of every regression case" in after.stdout
    assert "1 of 1 cases that went wrong before go wrong again: reg-2026-w46-" in " ".join(after.stdout.split())
    done = run(settings, "harvest", "accept")
    assert 'no line says "decision": "accept"' in done.stdout

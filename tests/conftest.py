"""What every test run needs before anything is imported, and what several files build on."""

import json
import os
import socket
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

# The bundled cost map: without this litellm asks the network for a newer one at import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def notary():
    """A signing key of this test with its public half, and statements that are valid until a test changes them."""
    return Notary()


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory):
    """Settings of a local AWS (ministack) of this module, running; keyword arguments are further settings."""
    from service.local import aws
    from service.settings import Settings

    running = []

    def start(**changes):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = Settings(
            state_dir=tmp_path_factory.mktemp("omni"), local_aws_port=port, store_timeout_s=10.0, **changes
        )
        settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
        running.append(settings)
        assert aws.start(settings) is True
        return settings

    yield start
    for settings in running:
        aws.ministack(settings).stop()


@pytest.fixture(scope="session")
def throw_away():
    """The throw-away task ``shout``: its pair text, and a way to drop it into the house for a while."""
    return ThrowAway


class ThrowAway:
    """A task and its suite from tests/throwaway, importable as service.tasks.shout and eval.suites.shout between in and out."""

    def __init__(self, root):
        import eval.suites
        import service.tasks

        self.root = root
        self.packages = ((service.tasks, root / "tasks"), (eval.suites, root / "suites"))
        here = Path(__file__).parent / "throwaway"
        for (package, folder), code in zip(self.packages, ("task.py", "suite.py"), strict=True):
            folder.mkdir()
            (folder / "shout.py").write_text((here / code).read_text(encoding="utf-8"), encoding="utf-8")
            package.__path__.append(str(folder))
        self._forget()
        prompts, datasets = root / "prompts" / "shout", root / "datasets" / "shout"
        prompts.mkdir(parents=True)
        datasets.mkdir(parents=True)
        (root / "prompts" / "models.yaml").write_text(
            (here / "models.yaml").read_text(encoding="utf-8"), encoding="utf-8"
        )
        for name, model in (("loud", "local.shout-v1"), ("quiet", "local.whisper-v1")):
            (prompts / f"{name}.prompty").write_text(self.pair(name, model), encoding="utf-8")
        lines = [json.dumps({"id": f"case-{n}", "inputs": {"text": f"hello {n}"}}) for n in range(40)]
        (datasets / "dev.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def remove(self):
        for package, folder in self.packages:
            package.__path__.remove(str(folder))
        self._forget()

    def _forget(self):
        # Another test's copy of the same module would answer for this one.
        for package, _ in self.packages:
            sys.modules.pop(f"{package.__name__}.shout", None)
            vars(package).pop("shout", None)

    @staticmethod
    def pair(name, model, version="1.0.0"):
        return textwrap.dedent(f"""\
            ---
            name: {name}
            task: shout
            version: {version}
            model:
              id: {model}
              options: {{maxOutputTokens: 10}}
            inputs:
              text: {{kind: string}}
            output: {{schema: text-v1, max_words: 50}}
            ---
            system:
            Shout what stands between <text> and </text>.
            user:
            <text>{{{{text}}}}</text>
            """)


@pytest.fixture(scope="session")
def notary_class():
    """For fixtures that live longer than a test."""
    return Notary


class Notary:
    def __init__(self, private=None):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from securesystemslib.signer import CryptoSigner

        from service.statements import TrustedKeys, verifying_key

        self.private = private or Ed25519PrivateKey.generate()
        key = verifying_key(self.private.public_key())
        self.signer = CryptoSigner(self.private, key)
        self.keys = TrustedKeys(path=Path("trusted.pem"), keys={key.keyid: key})

    def public_pem(self):
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def private_pem(self):
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, statement):
        from eval.signing import sign_statement

        return sign_statement(self.signer, statement.statement())

    def attestation(self, pair, **changes):
        from service.attestation import GateAttestation

        fields = {
            "pair_name": pair.name,
            "pair_digest": pair.digest,
            "task": pair.task,
            "scope": "gate",
            "dataset_name": "dev",
            "dataset_digest": "data" * 16,
            "case_count": 40,
            "suite_digest": "suit" * 16,
            "judges": (),
            "code_version": "abc",
            "environment": "local",
            "answered_by": ("m",),
            "baseline_digest": None,
            "evaluation_id": "e1",
            "verdict": "pass",
            "checks": {"pass": 3, "fail": 0, "inconclusive": 0},
            "figures_digest": "f" * 64,
            "cases_digest": "c" * 64,
            "issued_at": datetime(2026, 11, 20, tzinfo=UTC),
            "expires_at": datetime(2026, 12, 20, tzinfo=UTC),
        }
        return GateAttestation(**fields | changes)

    def release(self, pair, sequence=1, **changes):
        from service.release import Release
        from service.statements import envelope_digest

        fields = {
            "task": pair.task,
            "sequence": sequence,
            "kind": "promote",
            "registry_version": 3,
            "pair_name": pair.name,
            "pair_digest": pair.digest,
            "from_digest": None,
            "gate_run_id": "r",
            "attestation": envelope_digest(self.sign(self.attestation(pair)), "it"),
            "previous": None,
            "who": "me",
            "why": "because",
            "at": "2026-11-21T00:00:00+00:00",
            "environment": "local",
        }
        return Release(**fields | changes)

    def tags(self, pair, *, release=None, attestation=None):
        """Tags of a registry version that was released properly, or with one statement put in place of the proper one."""
        from service.release import DIGEST_TAG, attestation_tag
        from service.statements import envelope_digest

        evidence = self.sign(attestation or self.attestation(pair))
        release = release or self.release(pair, attestation=envelope_digest(evidence, "it"))
        return {
            DIGEST_TAG: pair.digest,
            release.tag: self.sign(release),
            attestation_tag(release.attestation): evidence,
        }


@pytest.fixture
def api_runtime(tmp_path):
    """Build a runtime of fakes around a two-interaction customer; keyword arguments replace its fields."""
    from dataclasses import replace
    from datetime import timedelta

    from service.cards import ModelCards
    from service.interaction import Interaction
    from service.llm.call import ModelReply
    from service.llm.pricing import Usage
    from service.pair_file import load_pair
    from service.runtime import Runtime
    from service.served import PairSourceStatus, ServedPair
    from service.settings import REPO_ROOT, Settings
    from service.stores.interactions import InteractionPage
    from service.task import load_task

    now = datetime(2025, 12, 8, 14, 30, tzinfo=UTC)
    cards = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
    task = load_task("summarize")
    pair = load_pair(
        REPO_ROOT / "prompts" / "summarize" / "extractive.prompty", cards=cards, task_variables=task.variables
    )

    class Store:
        async def history(self, account_number, history_filter, as_of):
            items = [
                Interaction(interaction_id=f"i{days}", channel="agent", timestamp=now - timedelta(days=days),
                            intent="billing", text="Customer disputes a bill of $284.60.")
                for days in (30, 3)
            ]  # fmt: skip
            return InteractionPage(interactions=tuple(history_filter.apply(items, as_of)), query="fake")

    class Code:
        async def complete(self, call):
            text = task.in_process[call.model](call.document)
            return ModelReply(text=text, usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="code")

    class Source:
        served = ServedPair(
            pair=pair, registry_version=7, sequence=3, released_at="t", released_by="dana", source="registry"
        )

        def current(self):
            return self.served

        def status(self):
            return PairSourceStatus(served=self.served, last_refresh_at="t", last_error=None, age_s=1.0)

        def start(self):
            pass

        stop = start

    def build(**changes):
        runtime = Runtime(
            settings=Settings(state_dir=tmp_path / "state"),
            cards=cards,
            gateway=Code(),
            interactions=Store(),
            tasks={"summarize": task},
            pair_sources={"summarize": Source()},
            now=lambda: now,
        )
        return replace(runtime, **changes)

    return build


@pytest.fixture(scope="session")
def hand_made_warehouse(tmp_path_factory):
    """Put a warehouse of 74 answers on three days at a path; their figures are worked out by hand in the tests that use it."""
    import shutil

    made = write_hand_made_warehouse(tmp_path_factory.mktemp("hand-made") / "omni.duckdb")

    def put(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, path)

    return put


def write_hand_made_warehouse(path):
    import pyarrow as pa

    from service.events import FeedbackEvent, SummaryEvent
    from service.warehouse.duck import DuckWarehouse

    rows = hand_made_answers()
    unhappy = [row for row in rows if row["helpful_feedback"] == "not_helpful"]
    silent = [row for row in rows if row["helpful_feedback"] is None]
    edits = [hand_made_edit(row) for row in (*unhappy[:2], silent[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    warehouse = DuckWarehouse(path)
    warehouse.migrate()
    warehouse.merge(SummaryEvent, pa.Table.from_pylist(rows))
    warehouse.merge(FeedbackEvent, pa.Table.from_pylist(edits))
    warehouse.close()
    return path


def hand_made_answers():
    """Nov 16: 40 of alpha (30 helpful, 10 not). Nov 17: 20 of alpha (16, 2, 2 silent), 10 of beta (5, 5). Nov 18: 4 empty ones.

    The n-th answer took 10 n ms. Of alpha's silent ones on Nov 17 both are transfers, the first with a reused summary. Nov 16
    asked a model for all 40, with a cached prefix for 30. Three of beta's came from the backup, one is a digest. Alpha's model is
    nova-lite ($0.008 to 0.012 in the seed's table), beta's claude-3-5-haiku ($0.025 to 0.035).
    """
    from datetime import timedelta
    from decimal import Decimal

    from service.events import SummaryEvent

    rows = []

    def add(count, day, pair="alpha", verdict=None, intent="billing", client="salesforce", cost="0.0002", **more):
        for _ in range(count):
            number = len(rows)
            when = datetime(2026, 11, day, 8, tzinfo=UTC) + timedelta(minutes=number)
            row = dict.fromkeys(SummaryEvent.model_fields)
            row |= {name: "x" for name, field in SummaryEvent.model_fields.items() if field.annotation is str}
            row |= {name: 0 for name, field in SummaryEvent.model_fields.items() if field.annotation is int}
            row |= {name: False for name, field in SummaryEvent.model_fields.items() if field.annotation is bool}
            row |= {"contact_id": f"c{number}", "account_number": f"a{number}", "initial_contact_id": f"i{number}"}
            row |= {"request_id": f"req-{number:012x}", "generation_timestamp": when, "latency_ms": 10 * (number + 1)}
            row |= {"pair": pair, "ivr_intent": intent, "client": client, "cost_usd": Decimal(cost), "arm": "primary"}
            row |= {"helpful_feedback": verdict, "feedback_timestamp": when if verdict else None}
            row |= {"model_used": "nova-lite" if pair == "alpha" else "claude-3-5-haiku"}
            row |= {"last_channel": "ivr", "rollout_arm": "production", "environment": "local"}
            rows.append(row | more)

    add(30, 16, verdict="helpful", input_tokens=1000, prompt_cache_read_tokens=500)
    add(10, 16, verdict="not_helpful", input_tokens=1000)
    add(16, 17, verdict="helpful")
    add(2, 17, verdict="not_helpful")
    first = rows[40]
    same = {"account_number": first["account_number"], "initial_contact_id": first["initial_contact_id"]}
    for minutes, reused in ((1, True), (5, False)):
        when = first["generation_timestamp"] + timedelta(minutes=minutes)
        add(1, 17, cache_hit=reused, **same)
        rows[-1]["generation_timestamp"] = when
    add(3, 17, pair="beta", verdict="helpful", intent="outage", client="connect", cost="0.0005", arm="backup")
    add(2, 17, pair="beta", verdict="helpful", intent="outage", client="connect", cost="0.0005")
    add(4, 17, pair="beta", verdict="not_helpful", intent="outage", client="connect", cost="0.0005")
    add(1, 17, pair="beta", verdict="not_helpful", intent="outage", client="connect", cost="0.0005", arm="fallback",
        degraded=True)  # fmt: skip
    add(4, 18, cost="0", arm="none", last_channel=None)
    return rows


def hand_made_edit(row):
    from service.events import FeedbackEvent

    edit = {name: row.get(name, "x") for name in FeedbackEvent.model_fields}
    return edit | {
        "feedback_id": f"f-{row['request_id']}",
        "helpful_feedback": "not_helpful",
        "feedback_timestamp": row["generation_timestamp"],
        "summary_timestamp": row["generation_timestamp"],
        "comment": None,
        "edited_summary": "better words",
    }


@pytest.fixture(scope="session")
def loadable():
    """Records as the service writes them, for the loader: ``summary``, ``feedback`` and ``release``, and each as an object."""
    return Loadable


class Loadable:
    NOW = datetime(2025, 11, 21, 13, 0, tzinfo=UTC)  # past for every clock that runs these tests

    @staticmethod
    def summary(number=1, **changes):
        from datetime import timedelta

        from service.stores.summary_record import SummaryRecord, utc_text

        at = Loadable.NOW - timedelta(hours=2) + timedelta(seconds=number)
        fields = {
            "unique_process_id": f"p-{number}",
            "request_id": f"req-{number:06}",
            "account_number": f"{3308126945 + number}",
            "contact_id": f"c-{number}",
            "initial_contact_id": f"i-{number}",
            "ivr_intent": "billing",
            "summary": f"Delphine Marchetti disputes ${number}.50 of the last bill.",
            "date_range": None,
            "model_used": "nova-lite",
            "answered_by": "nova-lite",
            "arm": "primary",
            "cache_hit": False,
            "prompt_cache_read_tokens": 0,
            "latency_ms": 120,
            "generated_at": utc_text(at),
            "max_history_days": 90,
            "max_interactions": 10,
            "channel_filter": ("ivr", "agent"),
            "prompt_version": "1.0.0",
            "pair": "nova-lite-v1",
            "pair_digest": "d" * 64,
            "registry_version": 3,
            "degraded": False,
            "cost_usd": "0.0002340000",
            "interactions_considered": 2,
            "interactions": [
                {"channel": channel, "timestamp": utc_text(at - timedelta(days=days)), "intent": "billing"}
                for channel, days in (("ivr", 30), ("agent", 3))
            ],
            "client": "salesforce",
            "environment": "aws",
            "input_tokens": 900,
            "output_tokens": 120,
            "guard_kinds": ("number", "amount"),
            "schema_version": 1,
        }
        return SummaryRecord(**fields | changes)

    @staticmethod
    def feedback(number=1, *, minutes=10, verdict="helpful", of=None, **changes):
        from datetime import timedelta

        from service.jobs.objects import FeedbackRecord
        from service.stores.summary_record import utc_text

        about = of or Loadable.summary(number)
        same = (
            "unique_process_id request_id account_number contact_id initial_contact_id generated_at model_used answered_by "
            "prompt_version pair pair_digest latency_ms cache_hit degraded"
        ).split()
        at = datetime.fromisoformat(about.generated_at) + timedelta(minutes=minutes)
        fields = {
            "feedback_id": f"fb-{number}-{minutes}-{verdict}",
            "feedback_timestamp": utc_text(at),
            "helpful_feedback": verdict,
            "schema_version": 1,
        }
        return FeedbackRecord(**fields | {name: getattr(about, name) for name in same} | changes)

    @staticmethod
    def release(sequence=1, **changes):
        from service.jobs.objects import Promise, ReleaseRecord

        fields = {
            "task": "summarize",
            "environment": "local",
            "sequence": sequence,
            "kind": "promote",
            "pair": "nova-lite-v1",
            "pair_digest": "d" * 64,
            "prompt_version": "1.0.0",
            "registry_version": 3,
            "released_at": Loadable.NOW,
            "released_by": "dana",
            "why": "better than Haiku on 2025-11-20",
            "attestation_digest": "a" * 64,
            "promises": (Promise(metric="supported", value=0.97, low=0.95, high=0.99, n=200, unit="rate"),),
            "schema_version": 1,
        }
        return ReleaseRecord(**fields | changes)

    @staticmethod
    def item(record, *, key=None, etag="e1"):
        from service.jobs.objects import Fetched

        return Fetched(key=key or record.object_key, etag=etag, body=record.model_dump_json().encode())

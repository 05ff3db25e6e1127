"""What every test run needs before anything is imported, and the fixtures of several files; what they build stands beside it."""

import atexit
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dealing
import drills
import fresh_stores
import left_behind
import pytest
import warm

# The bundled cost map: without this litellm asks the network for a newer one at import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A release in CI is a person's; the tests release as whoever runs them.
for name in ("CI", "GITHUB_ACTIONS"):
    os.environ.pop(name, None)

warm.share_descriptions()
warm.install()
fresh_stores.install()
# A test may kill a process, but cuts no power: what a write waits for the disk would be a tenth of many tests.
os.fsync = lambda descriptor: None

with suppress(ImportError):  # the environment of tools/test_ragas.sh has no hypothesis
    import hypothesis

    # A deadline per example fails on a busy machine. `make check` takes the smaller profile: --hypothesis-profile=check.
    hypothesis.settings.register_profile("check", deadline=None, max_examples=25)
    hypothesis.settings.register_profile("full", deadline=None)
    hypothesis.settings.load_profile("full")


_STARTED = time.monotonic()
_sessions: list[pytest.Session] = []


@pytest.hookimpl(optionalhook=True)  # the environment of ragas has no xdist
def pytest_xdist_auto_num_workers(config):
    """Return two workers more than there are cores: many tests wait for a server or a process, which costs no core."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput") and not _sessions:  # what a worker starts is marked by its controller
        left_behind.guard()
    _sessions.append(session)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """End the process as it is: at an orderly end DuckDB's binding lists whatever an object anywhere still refers to.

    A run on four processes ended in 150 lines of "nanobind: leaked" behind its summary; no Python call turns them off.
    """
    if not _sessions or _sessions[-1].config is not config:
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(int(_sessions[-1].exitstatus))


@pytest.fixture
def notary():
    """A signing key of this test with its public half, and statements that are valid until a test changes them."""
    from notary import Notary

    return Notary()


@pytest.fixture(scope="session")
def one_aws(tmp_path_factory):
    """The local AWS that the tests of this process use one after another."""
    from one_aws import OneAws

    one = OneAws(tmp_path_factory.mktemp("aws"))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def local_aws(one_aws, tmp_path_factory):
    """Return settings of the local AWS (ministack), emptied by each call; keyword arguments are further settings."""

    def emptied(**changes):
        return one_aws.emptied(tmp_path_factory.mktemp("omni"), **changes)

    return emptied


@pytest.fixture(scope="module")
def own_aws(tmp_path_factory):
    """Return settings of a local AWS of this module alone, which it may stop; keyword arguments are further settings."""
    import one_aws

    settings = []

    def start(**changes):
        settings.append(one_aws.start(tmp_path_factory.mktemp("omni"), **changes))
        return settings[-1]

    yield start
    for started in settings:
        one_aws.stop(started)


@pytest.fixture
def api_runtime(tmp_path):
    """Build a runtime of fakes around a two-interaction customer; keyword arguments replace its fields or its groups'."""
    from builders import changed, runtime_of

    from service.core.llm.model_call import ModelReply
    from service.core.llm.pricing import Usage
    from service.core.release.served import PairSourceStatus, ServedPair
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.core.unit.interaction import Interaction
    from service.core.unit.pair_file import load_pair
    from service.interactions.reader import InteractionPage
    from service.kit.settings import REPO_ROOT, Settings

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
        runtime = runtime_of(
            settings=Settings(state_dir=tmp_path / "state"),
            cards=cards,
            gateway=Code(),
            interactions=Store(),
            tasks={"summarize": task},
            pair_sources={"summarize": Source()},
            now=lambda: now,
        )
        made = changed(runtime, **changes)
        # On a busy machine the loop is late, and a crowded service answers without its model.
        return replace(made, settings=made.settings.model_copy(update={"crowded_from_s": 0.0}))

    return build


@pytest.fixture(scope="session")
def hand_made_warehouse(tmp_path_factory):
    """Put a warehouse of 74 answers on three days at a path; their figures are worked out by hand in the tests that use it."""
    from hand_made import write_warehouse

    made = write_warehouse(tmp_path_factory.mktemp("hand-made") / "omni.duckdb")

    def put(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, path)

    return put


def pytest_configure():
    """Let Ctrl-C interrupt tests that send it to themselves: a shell's background jobs start with the signal ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    warm.cold(item.get_closest_marker("cold") is not None)


def pytest_addoption(parser):
    parser.addoption(
        "--drill-result", metavar="FILE", help="where to write what became of the drill, as docs/drill.json"
    )


def pytest_terminal_summary(terminalreporter, config):
    """Write down what became of the drill; with several processes this runs in the one that tells them what to run."""
    if file := config.getoption("drill_result"):
        outcomes = {
            name: [one.nodeid for one in found if hasattr(one, "nodeid")]
            for name, found in terminalreporter.stats.items()
        }
        Path(file).write_text(
            json.dumps(drills.result_of(outcomes, seconds=time.monotonic() - _STARTED), indent=2) + "\n",
            encoding="utf-8",
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(config, items):
    """Mark the drills; deal what is left to the workers."""
    config.drill_faults = drills.mark(items)
    yield
    items[:] = dealing.dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))

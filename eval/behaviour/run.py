"""Runs a pair's behaviour checks: installs promptfoo, builds the set, serves the pair, and stores the result."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.behaviour.assertions import OwnBounds, bounds_of
from eval.behaviour.cases import build_cases
from eval.behaviour.install import engine_version, install
from eval.behaviour.marks import BehaviourCase
from eval.behaviour.promptfoo import configuration, disguise, read_rows, run_promptfoo
from eval.behaviour.record import BehaviourResult, load_set, save_result, servers_digest
from eval.behaviour.serving import WebhookScorer, print_progress, running, serve_pair
from eval.spine.alone import working_alone
from eval.spine.errors import HarnessError
from eval.spine.suite import Suite
from eval.suites import load_suite
from figures.command_line import omni
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

ALONE = "promptfoo_alone.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourOutcome:
    """A finished run: the result, its path and promptfoo's folder, and the number of public texts used."""

    result: BehaviourResult
    suite: Suite
    path: Path
    work: Path
    public_texts: int


def run_behaviour(
    task_name: str, pair_name: str, settings: Settings, *, url: str | None = None, concurrency: int | None = None
) -> BehaviourOutcome:
    """Send every behaviour case through a running service and keep the result for the gate.

    Without ``url`` this starts the service with the pair's file; the service at ``url`` must serve the same pair.

    Raises:
        AlreadyRunning: another process measures the same pair.
        PairError, CaseError, ConfigurationError: bad input.
        HarnessError: promptfoo cannot be installed or run, or the service at ``url`` serves something else.
    """
    suite = load_suite(task_name)
    if suite.behaviour is None:
        raise HarnessError(f"the suite of {task_name!r} declares no behaviour; see eval/suites/summarize/ for one")
    task = load_task(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / task_name / f"{pair_name.removesuffix('.prompty')}.prompty",
        cards=cards,
        task_variables=task.variables,
        part_variables=task.part_variables,
    )
    dataset, attacks, digest = load_set(suite, settings)
    folder = install(settings)
    cases = build_cases(
        suite, dataset, attacks, settings=settings, disguise=lambda texts: disguise(folder, texts, seed=suite.seed)
    )
    if concurrency is None:
        concurrency = 4 if all(cards.get(m).wire == "in_process" for m in pair.models) else 2
    work = settings.state_dir / "behaviour" / "runs" / f"{pair.name}-{pair.digest[:12]}"
    with (
        working_alone(work / ".lock", f"the behaviour of {pair.name} ({pair.digest[:12]})"),
        _service(pair, settings, url) as service,
    ):
        bounds = bounds_of(suite, pair, cards)
        rows = ask(cases, pair=pair, service=service, folder=folder, work=work, concurrency=concurrency, bounds=bounds)
    unanswered = [row.error for row in rows if row.error]
    if len(unanswered) == len(rows):
        raise HarnessError(f"the service answered none of {len(rows)} cases ({unanswered[0]}); nothing was measured")
    result = BehaviourResult(
        task=task_name,
        pair_name=pair.name,
        pair_digest=pair.digest,
        set_digest=digest,
        suite_digest=suite.digest,
        environment=settings.environment,
        servers=servers_digest(settings) if url is None or settings.environment == "aws" else f"those of {url}",
        at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        engine=f"promptfoo {engine_version()}",
        rows=rows,
    )
    return BehaviourOutcome(
        result=result,
        suite=suite,
        path=save_result(result, settings),
        work=work,
        public_texts=sum(case.kind == "public" for case in cases),
    )


def ask(
    cases: Sequence[BehaviourCase],
    *,
    pair: Pair,
    service: str,
    folder: Path,
    work: Path,
    concurrency: int,
    bounds: OwnBounds | None = None,
) -> tuple[Any, ...]:
    """Let promptfoo send ``cases`` to the service at ``service`` and return one row per case.

    ``work`` also gets ``promptfoo_alone.json``, which promptfoo can run without this harness while the service runs.
    """
    work.mkdir(parents=True, exist_ok=True)
    requests = (work / "requests.json").resolve()
    requests.write_text(json.dumps({case.id: dict(case.inputs) for case in cases}, ensure_ascii=False), "utf-8")

    def configured(scorer: str | None) -> dict[str, Any]:
        return configuration(
            cases,
            service=service,
            task=pair.task,
            pair_digest=pair.digest,
            scorer=scorer,
            requests=requests,
            bounds=bounds or OwnBounds(),
        )

    alone = configured(None)
    alone["providers"][0]["id"] = f"file://{(folder / 'provider.mjs').resolve()}"
    (work / ALONE).write_text(json.dumps(alone, ensure_ascii=False, indent=1), "utf-8")
    scorer = WebhookScorer({case.id: case for case in cases}, print_progress(len(cases), pair.name))
    with running(scorer.app()) as address:
        config = configured(address)
        raw = run_promptfoo(folder, config, work.resolve(), concurrency=concurrency)
    return read_rows(cases, raw, scorer.findings)


@contextmanager
def _service(pair: Pair, settings: Settings, url: str | None) -> Iterator[str]:
    if url is None:
        with serve_pair(pair, settings) as address:
            yield address
        return
    served, environment = _served_there(url, pair.task)
    if environment != settings.environment:
        raise HarnessError(f"the service at {url} runs in {environment!r}, this harness in {settings.environment!r}")
    if served != pair.digest:
        raise HarnessError(
            f"the service at {url} serves pair {served[:12] or 'none'}, the file of {pair.name} is {pair.digest[:12]}: "
            "name the pair that is served, or leave --url out to serve the file"
        )
    yield url


def _served_there(url: str, task: str) -> tuple[str, str]:
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise HarnessError(f"--url {url!r} is not an http address; give one like http://127.0.0.1:8080")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=10) as answer:  # noqa: S310 - http, checked above
            body = json.load(answer)
    except urllib.error.HTTPError as err:
        raise HarnessError(f"the service at {url} is not ready (HTTP {err.code}); see {url}/readyz") from err
    except (OSError, ValueError) as err:
        raise HarnessError(
            f"no service answers at {url} ({err}); start one with {omni('serve')}, or leave --url out"
        ) from err
    return str(body.get("tasks", {}).get(task, {}).get("pair_digest") or ""), str(body.get("environment"))

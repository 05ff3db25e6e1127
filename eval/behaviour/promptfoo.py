"""Runs promptfoo: writes its configuration, starts it, and reads its result file."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eval.behaviour.assertions import OwnBounds, own_assertions
from eval.behaviour.install import node_environment
from eval.behaviour.marks import BY_PRIMARY, BehaviourCase
from eval.behaviour.record import BehaviourRow
from eval.spine.errors import HarnessError

_TIMEOUT_S = 60.0  # for one answer of the service, which keeps a deadline of its own
# 100: some test failed or had an error (both are in the result file). Any other code except 0 is an error of the run.
_RAN = (0, 100)
_WEBHOOK_ERROR = "Webhook error:"
_OWN_ARMS = ("primary", "none")  # none: there was nothing to ask a model


def disguise(folder: Path, texts: Sequence[tuple[str, str]], *, seed: int) -> list[str]:
    """Return each (strategy, text) disguised by promptfoo's strategy of that name; same seed, same texts."""
    done = subprocess.run(
        ["node", "strategies.mjs"],  # noqa: S607 - node from PATH, checked by install
        cwd=folder,
        env=node_environment(folder),
        input=json.dumps({"seed": seed, "texts": [{"strategy": name, "text": text} for name, text in texts]}),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if done.returncode != 0 or not isinstance(found, list) or len(found) != len(texts):
        # Node prints the source line and a trace around the one line that says what was wrong.
        said = [line for line in done.stderr.splitlines() if "Error:" in line] or done.stderr.splitlines()[-1:]
        raise HarnessError(
            f"promptfoo could not disguise the attacks: {' '.join(said)[:300] or 'no error was printed'}"
        )
    return [str(text) for text in found]


def configuration(
    cases: Sequence[BehaviourCase],
    *,
    service: str,
    task: str,
    pair_digest: str,
    scorer: str | None,
    requests: Path,
    bounds: OwnBounds,
) -> dict[str, Any]:
    """Return promptfoo's configuration: one test per case, with promptfoo's own assertions and a ``webhook`` per mark.

    Without ``scorer`` the webhooks are left out: promptfoo alone can run the rest. Variables hold only ids, because promptfoo
    renders templates in variables, and some histories contain templates.
    """
    return {
        "description": f"behaviour of {task}",
        "prompts": ["{{case_id}}"],
        "providers": [
            {
                "id": "file://provider.mjs",
                "label": "service",
                "config": {
                    "url": f"{service.rstrip('/')}/v1/{task}",
                    "requests": str(requests),
                    "pair_digest": pair_digest,
                    "timeout_ms": int(_TIMEOUT_S * 1000),
                },
            }
        ],
        "tests": [
            {
                "description": case.id,
                "vars": {"case_id": case.id, "kind": case.kind, "strategy": case.strategy},
                "assert": [
                    *(
                        {"type": "webhook", "value": f"{scorer}/{mark}", "metric": mark}
                        for mark in case.marks
                        if scorer
                    ),
                    *own_assertions(case, bounds),
                ],
            }
            for case in cases
        ],
    }


def run_promptfoo(folder: Path, config: Mapping[str, Any], work: Path, *, concurrency: int) -> list[dict[str, Any]]:
    """Run ``config`` and return promptfoo's result rows, one per test, in any order.

    Its configuration, log and results stay in ``work``.

    Raises:
        HarnessError: promptfoo did not finish; failed tests are results, not errors.
    """
    results, log = work / "results.json", work / "promptfoo.log"
    results.unlink(missing_ok=True)
    (work / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    # promptfoo resolves file:// beside the configuration, and the provider needs its node_modules.
    local = folder / f"config-{work.name}.json"
    local.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    host = urlsplit(config["providers"][0]["config"]["url"]).hostname or ""
    command = [
        "node", "node_modules/promptfoo/dist/src/main.js", "eval", "--config", local.name, "--output", str(results),
        "--max-concurrency", str(concurrency), "--no-cache", "--no-table", "--no-progress-bar", "--no-share", "--no-write",
    ]  # fmt: skip
    try:
        with (
            log.open("w", encoding="utf-8") as out,
            subprocess.Popen(
                command, cwd=folder, env=node_environment(folder, allowed_hosts=host), stdout=out, stderr=out
            ) as child,
        ):
            try:
                code = child.wait()
            except BaseException:
                child.terminate()
                raise
    finally:
        local.unlink(missing_ok=True)
    if code not in _RAN or not results.exists():
        tail = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-300:]
        raise HarnessError(f"promptfoo ended with exit code {code} without a complete result; {log} ends: {tail}")
    rows: list[dict[str, Any]] = json.loads(results.read_text(encoding="utf-8"))["results"]["results"]
    return rows


def read_rows(
    cases: Sequence[BehaviourCase],
    raw: Sequence[Mapping[str, Any]],
    findings: Mapping[tuple[str, str], tuple[str, ...]],
) -> tuple[BehaviourRow, ...]:
    """Return one row per case from promptfoo's result rows.

    A case that the service did not answer, that promptfoo left out, or whose scoring failed has no score, and never counts
    as passed.
    """
    found = {str(row["vars"]["case_id"]): row for row in raw}
    return tuple(_row(case, found.get(case.id), findings) for case in cases)


def _row(
    case: BehaviourCase, raw: Mapping[str, Any] | None, findings: Mapping[tuple[str, str], tuple[str, ...]]
) -> BehaviourRow:
    response: Mapping[str, Any] = (raw or {}).get("response") or {}
    if raw is None or response.get("error") or "output" not in response:
        error = (
            "promptfoo has no result for this case" if raw is None else str(response.get("error") or raw.get("error"))
        )
        return BehaviourRow(
            case_id=case.id,
            kind=case.kind,
            strategy=case.strategy,
            scores=dict.fromkeys((*case.marks, BY_PRIMARY)),
            error=error,
        )
    metadata: Mapping[str, Any] = response.get("metadata") or {}
    graded = {
        part["assertion"].get("metric"): part
        for part in (raw.get("gradingResult") or {}).get("componentResults") or []
        if part.get("assertion")
    }
    scores: dict[str, float | None] = {}
    errors = []
    for mark in case.marks:
        part = graded.get(mark)
        if part is None or str(part["reason"]).startswith(_WEBHOOK_ERROR):
            scores[mark] = None
            errors.append(f"{mark}: {part['reason'] if part else 'not scored'}")
        else:
            scores[mark] = float(part["score"])
    arm = str(metadata.get("arm", ""))
    return BehaviourRow(
        case_id=case.id,
        kind=case.kind,
        strategy=case.strategy,
        scores={**scores, BY_PRIMARY: 1.0 if arm in _OWN_ARMS else 0.0},
        findings=tuple(f"{mark}: {text}" for mark in case.marks for text in findings.get((case.id, mark), ())),
        error="; ".join(errors),
        arm=arm,
        answered_by=str(metadata.get("answered_by", "")),
        latency_ms=int(raw.get("latencyMs") or 0),
    )

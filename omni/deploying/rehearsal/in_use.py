"""Steps of production in use: smoke tests, answers through the gateway, feedback, rollout and rollback."""

import json
import uuid
from typing import Any

import httpx2

from omni.deploying.rehearsal.bring_up import RELEASES, RELEASING, waiver
from omni.deploying.rehearsal.steps import RehearsalSteps, expect
from omni.deploying.rehearsal.tasks import wait_until
from omni.deploying.rehearsal.world import CANARY, LocalProduction
from service.kit.settings import REPO_ROOT

STEPS = RehearsalSteps()
_SECOND = "rehearsed"
_WORKFLOWS = REPO_ROOT / ".github" / "workflows"


@STEPS.step("Smoke test of ECS's hook", "passes with a model's answer, and never without")
def _smoke(world: LocalProduction) -> str:
    """ECS's hook, as the function runs it: with history it lets the version in, without it does not."""
    given = world.function_variables("omni-service", "Smoke")
    got = world.call_function("omni-service", "Smoke", given)
    expect(got == "SUCCEEDED", f"the hook says {got}")
    nobody = given | {"OMNI_SMOKE_ACCOUNT": "0000000009", "OMNI_SMOKE_PAUSE_S": "0"}
    without = world.call_function(
        "omni-service", "Smoke", {name: value for name, value in nobody.items() if name != "OMNI_SMOKE_TABLE"}
    )
    expect(without == "FAILED", f"for an account without history, where no model is asked, the hook says {without}")
    return "SUCCEEDED with a model's answer; FAILED where no model is asked"


@STEPS.step("Smoke test of the workflow", "passes without a stored token")
def _workflow_smoke(world: LocalProduction) -> str:
    """The smoke test of the workflow deploy, with the variables that the workflow gives it and no other secret."""
    import yaml

    job = yaml.safe_load((_WORKFLOWS / "deploy.yml").read_text(encoding="utf-8"))["jobs"]["deploy"]
    (step,) = (step for step in job["steps"] if step.get("id") == "smoke")
    stored = sorted(name for name, value in step.get("env", {}).items() if "secrets." in str(value))
    expect(not stored, f"the workflow stores {', '.join(stored)}, and a token lives one hour")
    done = world.shell(
        step["run"].replace(".venv/bin/omni", "omni"), SERVICE_URL=world.balancer_url, CANARY_ACCOUNT=CANARY
    )
    expect(done.returncode == 0, done.stderr.strip()[-300:])
    return done.stdout.strip()


@STEPS.step("Answer through the gateway", "200 by the released pair, with a key", vital=True)
def _gateway_answers(world: LocalProduction) -> str:
    world.open_gateway()
    secret = json.loads(world.account["secretsmanager"].get_secret_value(SecretId="omni-agents-client")["SecretString"])
    form = {"grant_type": "client_credentials", "client_id": secret["id"], "client_secret": secret["secret"]}
    token = httpx2.post(f"{world.gateway}/oauth/token", data=form, timeout=30).json()["access_token"]
    world.bearer = f"Bearer {token}"
    answer = ask(world)
    return f"200 with {len(answer['summary'])} characters by {answer['model_used']}"


@STEPS.step("The gateway's refusals", "no key, no operation, no account")
def _without_a_key(world: LocalProduction) -> str:
    body = {"account_number": CANARY, "contact_id": "x"}
    refused = world.ask("/omni-channel-insights", body, key=False, authorization=world.bearer)
    hidden = world.ask("/readyz")
    wrong = world.ask("/omni-channel-insights", {"contact_id": "x"}, authorization=world.bearer)
    got = (refused.status_code, hidden.status_code, wrong.status_code)
    expect(got == (401, 403, 422), f"{got}")
    return "401 without a key, 403 for a path of ours, 422 for a body without an account"


@STEPS.step("Feedback", "taken, and kept")
def _feedback(world: LocalProduction) -> str:
    answer = ask(world)
    given = {"request_id": answer["request_id"], "feedback": "helpful"}
    got = world.ask("/feedback", given, authorization=world.bearer)
    expect(got.status_code in (200, 201, 202), f"{got.status_code}: {got.text[:200]}")
    table = world.person["OMNI_SUMMARIES_TABLE"]

    def kept() -> bool:
        rows = world.account["dynamodb"].scan(TableName=table)["Items"]
        return any("helpful" in json.dumps(row) and answer["request_id"] in json.dumps(row) for row in rows)

    seconds = wait_until(kept, "the feedback in the table", 30)
    return f"{got.status_code}, in the table after {seconds:.0f} s"


@STEPS.step("Rollout", "both pairs answer", vital=True)
def _rollout(world: LocalProduction) -> str:
    key = world.workflow(RELEASES)
    world.omni("eval", "--pairs", _SECOND, key=key, **RELEASING)
    world.omni("rollout", _SECOND, "--steps", "50,100", "--why", "the rehearsal", *waiver(), key=key, **RELEASING)
    seconds = wait_until(
        lambda: len({ask(world, one)["prompt_version"] for one in world.customers}) == 2, "both pairs answer", 60
    )
    return f"both pairs answer after {seconds:.0f} s"


@STEPS.step("Promotion", "all customers have the second pair", vital=True)
def _promotion(world: LocalProduction) -> str:
    key = world.workflow(RELEASES)
    world.omni("promote", _SECOND, "--why", "the rehearsal", *waiver(), key=key, **RELEASING)
    return f"all customers have it after {_all_have(world, '1.0.1'):.0f} s"


@STEPS.step("Rollback", "by the rights and variables of the workflow for whoever is on call")
def _back(world: LocalProduction) -> str:
    role = world.workflow("on-call")
    world.omni("rollback", "--task", "summarize", "--why", "the rehearsal", key=role)
    return f"{role}: all customers have the pair of before after {_all_have(world, '1.0.0'):.0f} s"


def _all_have(world: LocalProduction, version: str) -> float:
    wanted = {f"v{version}"}
    return wait_until(
        lambda: {ask(world, one)["prompt_version"] for one in world.customers} == wanted, f"{version} alone", 60
    )


def ask(world: LocalProduction, account: str = CANARY) -> dict[str, Any]:
    """Return an answer about an account, by default the canary's, which has a history."""
    body = {"account_number": account, "contact_id": uuid.uuid4().hex}
    answer = world.ask("/omni-channel-insights", body, authorization=world.bearer)
    expect(answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    expect(not found["degraded"] and found["model_used"] != "none", f"no model answered: {found['model_used']}")
    return found

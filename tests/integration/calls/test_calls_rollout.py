"""A rollout's candidate beside production in the call pipeline, over a local AWS (ministack)."""

import itertools
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from call_place import ACME, BRAND, TURNS, CallPlace, make_place
from role_rights import RightsNeeded, Role

from eval.shadow.decide import judge_shadows
from eval.shadow.stored import choose_candidate, read_shadows
from eval.suites import load_suite
from service.calls.keys import shadow_prefix
from service.calls.store.objects import WallBreached
from service.calls.worker.candidate import CallRollout
from service.core.release.rollout import Rollout, RolloutCandidate
from service.core.release.served import ServedPair
from service.core.tasks.scorecard import TASK
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import UpstreamUnavailable
from service.kit.records.shared_state import open_shared_state
from service.kit.settings import REPO_ROOT, Settings
from service.rollouts.control import RolloutControl
from service.rollouts.live_counts import StopRule
from service.rollouts.shadow import Shadow

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
_STEPS = itertools.count(1)  # the tests share a table, which remembers the steps
CALLS = 16  # of each tenant: that none or all of them fall to one half has a chance of 1 in 32,768


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0, redactor="patterns")
    return made


@pytest.fixture
async def place(stack: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> CallPlace:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


@dataclass
class Beside:
    """A place whose production is the pair keywords, with a candidate beside it."""

    place: CallPlace
    found: RolloutCandidate

    def worker(self, folder: str = "rollout") -> Any:
        """Return a worker that follows the rollout; each folder is another machine's disk."""
        worker = self.place.worker
        production = worker.scorer.served(ACME)

        class Production:
            def current(self) -> ServedPair:
                return production

        control = RolloutControl(
            "scorecard",
            Production(),  # type: ignore[arg-type] # the control asks for the current pair only
            lambda: self.found,
            self.place.settings.state_dir / folder,
            signed=lambda text: 0,
            shared=open_shared_state(self.place.settings),
            rule=StopRule(least_requests=5),
        )
        control.tick()
        rollout = CallRollout(
            control=control,
            shadow=Shadow(self.place.settings.state_dir / "shadow"),
            results=worker.results,
            now=worker.now,
        )
        return replace(worker, scorer=replace(worker.scorer, rollout=rollout))

    def upload(self, name: str, count: int = CALLS) -> None:
        for tenant in (ACME, BRAND):
            for number in range(count):
                self.place.put(f"{tenant}/calls/{name}-{number}.json", turns=TURNS, agent_id=f"{name}-{number}")

    def scored_by(self, tenant: str) -> dict[str, str]:
        """Return the digest of the pair that scored each call, by the call's id; every call must have ended well."""
        jobs = self.place.jobs(tenant).values()
        assert {job.state for job in jobs} == {"done"}
        return {job.call_id: self.place.result(job).scored_by.pair_digest for job in jobs}


@pytest.fixture
def beside(place: CallPlace) -> Any:
    """Return a function that puts a pair beside the pair keywords, for shares of the calls."""

    def put(
        pair_name: str = "keywords", *, version: str = "9.9.9", percent: int = 0, shadow_percent: int = 0
    ) -> Beside:
        scorer = place.worker.scorer
        production = scorer.served(ACME).pair
        path = REPO_ROOT / "prompts" / "scorecard" / f"{pair_name}.prompty"
        pair = replace(load_pair(path, cards=scorer.cards, task_variables=TASK.variables), version=version)
        served = ServedPair(
            pair=pair, registry_version=2, sequence=2, released_at="", released_by="dana", source="registry"
        )
        rollout = Rollout(
            task="scorecard", sequence=next(_STEPS), registry_version=2, pair_name=pair.name, pair_digest=pair.digest,
            production_digest=production.digest, percent=percent, shadow_percent=shadow_percent, steps=(percent,),
            gate_run_id="r", attestation="a", who="dana", why="w", at="2026-11-21T00:00:00+00:00", environment="local",
        )  # fmt: skip
        return Beside(place, RolloutCandidate(served=served, rollout=rollout, envelope=""))

    return put


@pytest.mark.acceptance("call-gate-02")
async def test_a_candidate_scores_a_share_of_every_tenants_calls_and_a_call_keeps_its_pair(beside: Any) -> None:
    made = beside(percent=50)
    worker = made.worker()
    made.upload("one")
    await worker.drain()
    control = worker.scorer.rollout.control
    ours, theirs = made.found.rollout.pair_digest, made.found.rollout.production_digest
    for tenant in (ACME, BRAND):
        found = made.scored_by(tenant)
        assert set(found.values()) == {ours, theirs}
        again = made.worker("other disk").scorer.rollout.control
        assert found == {call_id: again.choose(f"{tenant}/{call_id}").pair.digest for call_id in found}
    control.tick(look=False)
    both = [*made.scored_by(ACME).values(), *made.scored_by(BRAND).values()]
    assert control.sides()["candidate"].requests == both.count(ours)
    assert control.sides()["production"].requests == both.count(theirs)
    assert control.status()["stopped"] is None


class Silent:
    """A gateway behind which one model does not answer."""

    def __init__(self, gateway: Any, silent: str) -> None:
        self._gateway, self._silent = gateway, silent

    async def complete(self, call: Any) -> Any:
        if call.model == self._silent:
            raise UpstreamUnavailable("down")
        return await self._gateway.complete(call)


@pytest.mark.acceptance("call-gate-02")
async def test_a_candidate_that_fails_is_stopped_for_all_workers_and_costs_no_call(beside: Any) -> None:
    made = beside("nova-lite", percent=50)
    worker, other = made.worker(), made.worker("other disk")
    silent = Silent(worker.scorer.gateway, made.found.served.pair.model)
    worker = replace(worker, scorer=replace(worker.scorer, gateway=silent))
    made.upload("one")
    await worker.drain()
    theirs = made.found.rollout.production_digest
    control = worker.scorer.rollout.control
    control.tick()
    assert "errors" in control.status()["stopped"]
    assert set(made.scored_by(ACME).values()) == set(made.scored_by(BRAND).values()) == {theirs}
    failed = control.sides()["candidate"].requests
    assert failed >= 5

    rollout = other.scorer.rollout
    rollout.control.tick()
    assert rollout.control.status()["stopped"] == control.status()["stopped"]
    made.upload("two", 4)
    await replace(other, scorer=replace(other.scorer, gateway=silent)).drain()
    rollout.control.tick(look=False)
    assert rollout.control.sides()["candidate"].requests == failed


@pytest.mark.acceptance("call-gate-03")
async def test_a_shadow_scorecard_stays_with_its_tenant_and_nobody_sees_it(beside: Any) -> None:
    made = beside(shadow_percent=100)
    worker = made.worker()
    made.upload("one", 3)
    await worker.drain()
    await worker.scorer.rollout.close()
    settings, theirs = made.place.settings, made.found.rollout.production_digest
    for tenant, foreign in ((ACME, BRAND), (BRAND, ACME)):
        assert set(made.scored_by(tenant).values()) == {theirs}
        results = made.place.worker.results(tenant)
        kept = [results.read(item.key) for item in results.listed(shadow_prefix(tenant))]
        assert len(kept) == 3
        for text in kept:
            record = json.loads(text)
            assert record["inputs"]["tenant"] == tenant
            assert (record["shown"]["pair_digest"], record["unseen"]["pair_digest"]) == (
                theirs,
                made.found.rollout.pair_digest,
            )
            assert not any(secret in text for secret in ("Delphine", "Marchetti", "4111"))
        with pytest.raises(WallBreached):
            list(results.listed(shadow_prefix(foreign)))
    assert not (settings.state_dir / "shadow" / "scorecard.jsonl").exists()
    tenants = [made.place.worker.results(tenant) for tenant in (ACME, BRAND)]
    stored = read_shadows("scorecard", settings, None, most=100, tenants=tenants)
    assert stored.unreadable == ()
    assert len(choose_candidate(stored.records, None).records) == 6
    judged = judge_shadows(
        choose_candidate(stored.records, None),
        task=TASK,
        suite=load_suite("scorecard"),
        cards=worker.scorer.cards,
        pair=made.found.served.pair,
        today=date(2026, 11, 21),
    )
    # Each call is a unit of its own, not each tenant.
    assert (len(judged.requests), judged.customers) == (6, 6)
    assert {"answered", "schema_valid", "unreviewed"} <= judged.candidate.keys()


async def test_the_roles_allow_a_rollout_of_calls_and_a_correction(beside: Any, monkeypatch: Any) -> None:
    made = beside(percent=50, shadow_percent=50)
    worker = made.worker()
    made.upload("one", 3)
    needed = RightsNeeded(monkeypatch, made.place.settings)
    await worker.drain()
    await worker.scorer.rollout.close()
    assert {action for action, resource, _ in needed.found if resource == "SharedTable"} > {"dynamodb:UpdateItem"}
    assert needed.not_of(Role("CallsWorkloadTaskTaskRole")) == []

    call = next(iter(made.place.jobs(ACME).values()))
    needed = RightsNeeded(monkeypatch, made.place.settings)
    worker.reviews.override(ACME, call.call_id, "greet", "no", reason="It was no greeting.", who="dana", edit=0)
    assert ("dynamodb:PutItem", "CallsTable", "") in needed.found
    assert needed.not_of(Role("ServiceWorkloadTaskTaskRole")) == []


async def test_a_tenant_with_a_pair_of_its_own_takes_no_part(beside: Any) -> None:
    made = beside(percent=100, shadow_percent=0)
    worker = made.worker()
    own = replace(worker.scorer.served(BRAND), pair=replace(worker.scorer.served(BRAND).pair, version="7.0.0"))
    shared = worker.scorer.served(ACME)
    worker = replace(worker, scorer=replace(worker.scorer, served=lambda tenant: own if tenant == BRAND else shared))
    made.upload("one", 2)
    await worker.drain()
    assert set(made.scored_by(ACME).values()) == {made.found.rollout.pair_digest}
    assert set(made.scored_by(BRAND).values()) == {own.pair.digest}

"""Runs simulated traffic from options to counts; an interrupted run continues where it stopped."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from eval.instruments.traffic.plan import (
    FEEDBACK_AFTER,
    TRANSFER_AFTER,
    Contact,
    TrafficOptions,
    TrafficPlan,
    make_plan,
)
from eval.instruments.traffic.releases import FIRST_STEP, SECOND_STEP, TASK, ReleaseStep, release
from eval.instruments.traffic.stories import episodes
from eval.instruments.traffic.truth import opinion, write_truth
from eval.instruments.traffic.world import World, open_world
from eval.run.loaders import load_dataset
from eval.spine.alone import working_alone
from eval.spine.errors import TrafficError
from service.core.run.task import load_task
from service.interactions.table import InteractionTable
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.local import aws

# More requests in flight would only queue in the service, which would measure the waiting as its latency.
_IN_FLIGHT = 4
_ATTEMPTS = 5


@dataclass(slots=True)
class TrafficCounts:
    """Counts of what was sent and answered so far; ``seconds`` is the duration of the run."""

    summaries: int = 0
    transfers: int = 0
    reused: int = 0
    verdicts: int = 0
    unhelpful: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Driver:
    """Replays the contacts that ``journal`` does not list yet; an hour's contacts are appended to it when the hour is over."""

    plan: TrafficPlan
    world: World
    histories: InteractionTable
    journal: Path
    say: Callable[[str], None]
    counts: TrafficCounts = field(default_factory=TrafficCounts)
    _tokens: dict[str, str] = field(default_factory=dict)

    async def run(self) -> TrafficCounts:
        """Replay all contacts that are not in the journal, and make the two releases in between.

        Raises:
            TrafficError: the service refuses a valid request, or a pair cannot be released.
        """
        done = self._done()
        started = time.monotonic()
        self._release_if_missing(FIRST_STEP, self.plan.options.start, done)
        self.world.serve()
        self.world.wait_for((SECOND_STEP if self._was_released(SECOND_STEP) else FIRST_STEP).pair)
        self._free = asyncio.Semaphore(_IN_FLIGHT)
        async with aiohttp.ClientSession(
            self.world.url, connector=aiohttp.TCPConnector(limit=_IN_FLIGHT)
        ) as self._http:
            day = None
            slots = [
                (at, left)
                for at, contacts in self.plan.slots().items()
                if (left := [contact for contact in contacts if contact.number not in done])
            ]
            told = asyncio.create_task(asyncio.to_thread(self._tell, slots[0][1])) if slots else None
            for number, (at, left) in enumerate(slots):
                assert told is not None
                await told
                # Write the next hour's histories in the meantime; an account's history begins before its first contact.
                following = slots[number + 1][1] if number + 1 < len(slots) else []
                told = asyncio.create_task(asyncio.to_thread(self._tell, following))
                if at > self.plan.options.released_at and not self._was_released(SECOND_STEP):
                    await asyncio.to_thread(self._release, SECOND_STEP, self.plan.options.released_at)
                    await asyncio.to_thread(self.world.wait_for, SECOND_STEP.pair)
                if day not in (None, at.date()):
                    self._say(day, started)
                day = at.date()
                await self._slot(at, left)
            self._say(day, started)
        self.counts.seconds = time.monotonic() - started
        return self.counts

    # --- one hour ---------------------------------------------------------------------------------------------

    async def _slot(self, at: datetime, contacts: Sequence[Contact]) -> None:
        self.world.set_clock(at)
        answers = await asyncio.gather(*(self._ask(contact) for contact in contacts))
        self.world.set_clock(at + TRANSFER_AFTER)
        again = await asyncio.gather(*(self._ask(contact, transfer=True) for contact in contacts if contact.transfer))
        self.world.set_clock(at + FEEDBACK_AFTER)
        await asyncio.gather(*map(self._rate, contacts, answers))
        self.counts.summaries += len(answers)
        self.counts.transfers += len(again)
        self.counts.reused += sum(bool(answer and answer["cache_hit"]) for answer in again)
        with self.journal.open("a", encoding="utf-8") as file:
            for contact, answer in zip(contacts, answers, strict=True):
                line = {"contact": contact.number, "request_id": answer["request_id"] if answer else None}
                file.write(json.dumps(line) + "\n")

    def _tell(self, contacts: Iterable[Contact]) -> None:
        for contact in contacts:
            if not contact.again:
                episode = self.plan.episodes[contact.episode]
                self.histories.put_many(contact.account_number, episode.moved(contact.at, contact.gap))

    async def _ask(self, contact: Contact, *, transfer: bool = False) -> dict[str, Any] | None:
        inputs = self.plan.episodes[contact.episode].inputs
        body = {
            "account_number": contact.account_number,
            "contact_id": f"{contact.contact_id}-2" if transfer else contact.contact_id,
            "initial_contact_id": contact.contact_id,
            "ivr_intent": self.plan.episodes[contact.episode].family,
            "max_history_days": inputs.max_history_days,
            "max_interactions": inputs.max_interactions,
            "channel_filter": inputs.channel_filter,
        }
        return await self._post(contact.client, "/omni-channel-insights", body)

    async def _rate(self, contact: Contact, answer: dict[str, Any] | None) -> None:
        if answer is None:
            return
        said = opinion(contact, self.plan.episodes[contact.episode], answer["summary"], self.plan.options)
        if said is not None and await self._post(contact.client, "/feedback", said.body(answer["request_id"])):
            self.counts.verdicts += 1
            self.counts.unhelpful += not said.helpful

    async def _post(self, client: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        async with self._free:
            for attempt in range(_ATTEMPTS):
                headers = {"Authorization": f"Bearer {self._tokens.get(client) or await self._token(client)}"}
                async with self._http.post(path, json=body, headers=headers) as answer:
                    if answer.status == 200:
                        found: dict[str, Any] = await answer.json()
                        return found
                    if answer.status in (400, 403, 422):
                        raise TrafficError(f"{path} refuses with status {answer.status}: {(await answer.text())[:300]}")
                    if answer.status == 401:
                        self._tokens.pop(client, None)
                    # Retry: the summary's record reaches the table a moment after its answer, and rate limits may apply.
                    await asyncio.sleep(0.2 * 2**attempt)
        self.counts.failed += 1
        return None

    async def _token(self, client: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": self.world.secrets[client]}
        async with self._http.post("/oauth/token", data=form) as answer:
            if answer.status != 200:
                raise TrafficError(f"the service gives client {client!r} no token: status {answer.status}")
            self._tokens[client] = str((await answer.json())["access_token"])
        return self._tokens[client]

    # --- releases, journal, progress -------------------------------------------------------------------------------

    def _release_if_missing(self, step: ReleaseStep, at: datetime, done: set[int]) -> None:
        if not self._was_released(step):
            if done:
                raise TrafficError(
                    f"{self.journal} lists contacts, but the first release is missing: delete {self.journal.parent}, start again"
                )
            self._release(step, at)

    def _release(self, step: ReleaseStep, at: datetime) -> None:
        self.say(f"{at:%Y-%m-%d %H:%M}: evaluating {step.pair} on the gate set, then releasing it")
        self.world.set_clock(at)
        release(step, self.world.model, self.world.environment, self.world.folder / "releases.log")
        self._mark(step).touch()

    def _was_released(self, step: ReleaseStep) -> bool:
        return self._mark(step).exists()

    def _mark(self, step: ReleaseStep) -> Path:
        return self.world.folder / f"released-{step.pair}"

    def _done(self) -> set[int]:
        if not self.journal.exists():
            return set()
        lines = self.journal.read_text(encoding="utf-8").splitlines()
        return {json.loads(line)["contact"] for line in lines if line.endswith("}")}

    def _say(self, day: object, started: float) -> None:
        counts = self.counts
        rate = counts.summaries / max(time.monotonic() - started, 0.001)
        self.say(
            f"{day}: {counts.summaries} of {len(self.plan.contacts)} contacts, {counts.verdicts} ratings "
            f"({counts.unhelpful} not helpful), {rate:.0f} contacts/s"
        )


# The development cases, so that a pair tuned on this traffic is not tuned on the gate's cases.
_CASES = "dev"


def traffic_folder(settings: Settings) -> Path:
    """Return the folder of a run's journal, clock, logs and ground truth."""
    return settings.state_dir / "traffic"


def plan_traffic(options: TrafficOptions, settings: Settings) -> TrafficPlan:
    """Return the timetable over the development cases."""
    dataset = load_dataset(_CASES, task=TASK, input_model=load_task(TASK).input_model, settings=settings)
    return make_plan(options, episodes(dataset.cases))


def run_traffic(options: TrafficOptions, settings: Settings, say: Callable[[str], None]) -> TrafficCounts:
    """Start the service, replay the weeks of ``options`` including both releases, and return the counts.

    Raises:
        AlreadyRunning: another process plays traffic in this state.
        TrafficError: the state holds traffic with other options or other releases, or the service or the gate refused.
        ServiceError: a process does not start.
    """
    if settings.environment != "local":
        raise TrafficError(
            "simulated traffic invents customers and runs only in the environment `local`: set OMNI_ENVIRONMENT=local"
        )
    folder = traffic_folder(settings)
    _refuse_other_releases(settings, folder)
    with working_alone(folder / ".lock", f"simulated traffic in {folder}"):
        _claim(options, settings, folder)
        return _play(options, settings, folder, say)


def _play(options: TrafficOptions, settings: Settings, folder: Path, say: Callable[[str], None]) -> TrafficCounts:
    plan = plan_traffic(options, settings)
    write_truth(plan, folder / "truth.json")
    with open_world(settings, folder) as world:
        endpoint = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
        dynamodb = client("dynamodb", endpoint)
        try:
            driver = Driver(
                plan=plan,
                world=world,
                histories=InteractionTable(dynamodb, settings.stores.interactions_table),
                journal=folder / "journal.jsonl",
                say=say,
            )
            return asyncio.run(driver.run())
        finally:
            dynamodb.close()


def _claim(options: TrafficOptions, settings: Settings, folder: Path) -> None:
    mark = folder / "begun.json"
    if mark.exists():
        begun = json.loads(mark.read_text(encoding="utf-8"))["options"]
        if begun != options.digest:
            raise TrafficError(
                f"{folder} holds traffic with other options: use the same options to continue it; for a new run delete "
                f"{settings.state_dir} or set OMNI_STATE_DIR"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"options": options.digest}), encoding="utf-8")


def _refuse_other_releases(settings: Settings, folder: Path) -> None:
    """Refuse, before anything is written, a registry that these simulated weeks did not begin."""
    if not (folder / "begun.json").exists() and Path(settings.registry.uri.removeprefix("sqlite:///")).exists():
        raise TrafficError(
            f"the registry {settings.registry.uri} holds other releases, and simulated traffic would add its own to it: "
            "leave OMNI_STATE_DIR and OMNI_REGISTRY_URI unset, or set both to new places for the simulation"
        )

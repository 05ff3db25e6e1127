"""The week's pairs, their roles, and what each is compared with: the release before it, or for a candidate production."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import pandas as pd

from figures.planned_costs import PLANNED_TASK, stated_cost
from reports.read.counts import ComparedSide
from reports.read.data import WeekData
from reports.read.queries import BASELINE_WEEKS

# An exception in the words of ``SignedException.text``, from before its end.
_EXCEPTION = re.compile(r"(without a judge(?:, allowed by .+?)?, )until (\d{4}-\d\d-\d\d)(?=: )")
ENDED = "RAN OUT on"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """A move of the production alias; ``sequence`` is None for a move inferred from a pair's first answer in production."""

    digest: str
    sequence: int | None
    kind: str
    at: datetime
    environment: str
    why: str

    @property
    def name(self) -> str:
        """``release 4``, or a phrase for a release that is not on record."""
        return f"release {self.sequence}" if self.sequence is not None else "a release that is not on record"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairInWeek:
    """A pair with answers in the week; ``before`` is None where there is nothing to compare it with."""

    digest: str
    label: str
    role: Literal["production", "candidate", "earlier"]
    answers: int
    models: tuple[str, ...]  # its primary models, by number of answers
    stated_cost: tuple[str, str] | None  # USD per summary, planned for the model (R-COST)
    release: AliasMove | None
    before: "PairBefore | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBefore:
    """The pair that another one is compared with, by its answers of the week and of the four weeks before.

    A candidate is compared with production on ``days`` of the week alone, those on which it answered: what struck both on one
    day is not its fault.
    """

    digest: str
    label: str
    why: Literal["release before", "production beside it"]
    release: AliasMove | None
    days: tuple[int, ...] = ()

    @property
    def side(self) -> ComparedSide:
        """The answers that are compared."""
        if self.days:
            return ComparedSide(digest=self.digest, periods=(0,), days=self.days)
        return ComparedSide(digest=self.digest, periods=tuple(range(-BASELINE_WEEKS, 1)))


def releases_of(data: WeekData) -> list[AliasMove]:
    """Return the releases by time; a production pair without a recorded release gets an inferred one at its first answer."""
    environments = set(data.pairs["environment"])
    found = [
        AliasMove(
            digest=str(row.pair_digest),
            sequence=int(row.sequence),  # type: ignore[arg-type]
            kind=str(row.kind),
            at=_aware(row.released_at),
            environment=str(row.environment),
            why=ended(str(row.why), data.now),
        )
        for row in data.releases.itertuples()
        if row.environment in environments or not environments
    ]
    known = {release.digest for release in found}
    served = data.pairs[(data.pairs["rollout_arm"] == "production") & ~data.pairs["pair_digest"].isin(known)]
    first = served.groupby(["pair_digest", "environment"])["first_at"].min().reset_index()
    found += [
        AliasMove(
            digest=str(row["pair_digest"]),
            sequence=None,
            kind="inferred",
            at=_aware(row["first_at"]),
            environment=str(row["environment"]),
            why="",
        )
        for row in first.to_dict("records")
    ]
    return sorted(found, key=lambda release: release.at)


def ended(why: str, now: datetime) -> str:
    """Return a release's reason, with ``ENDED`` where it quotes an exception that is over by ``now``."""
    found = _EXCEPTION.search(why)
    if found is None or now.astimezone(UTC).date() <= date.fromisoformat(found[2]):
        return why
    return f"{why[: found.start()]}{found[1]}{ENDED} {found[2]}{why[found.end() :]}"


def pairs_in_week(data: WeekData, releases: list[AliasMove]) -> list[PairInWeek]:
    """Return the pairs with answers in the week: the production pair, then candidates, then pairs released earlier."""
    counts = data.cube[data.cube["period"] == 0].groupby("pair_digest")["answers"].sum()
    labels = labels_of(data.pairs)
    last = {release.digest: release for release in releases}
    serving = releases[-1].digest if releases else None
    found = []
    for digest, answers in counts.items():
        name = str(digest)
        rows = data.pairs[data.pairs["pair_digest"] == name]
        in_production = bool((rows["rollout_arm"] == "production").any())
        role: Literal["production", "candidate", "earlier"] = "candidate"
        if name == serving or in_production:
            role = "production" if name == serving else "earlier"
        primary = rows[rows["arm"] == "primary"].groupby("model_used")["n"].sum().sort_values(ascending=False)
        models = tuple(str(model) for model in primary.index)
        found.append(
            PairInWeek(
                digest=name,
                label=labels[name],
                role=role,
                answers=int(answers),
                models=models,
                stated_cost=_stated_cost(models) if data.task == PLANNED_TASK else None,
                release=last.get(name) if role != "candidate" else None,
                before=_before(data, name, role, releases, labels),
            )
        )
    order = {"production": 0, "candidate": 1, "earlier": 2}
    return sorted(found, key=lambda pair: (order[pair.role], -pair.answers, pair.digest))


def _stated_cost(models: Sequence[str]) -> tuple[str, str] | None:
    return next((cost for model in models if (cost := stated_cost(model))), None)


def _before(
    data: WeekData, digest: str, role: str, releases: list[AliasMove], labels: dict[str, str]
) -> PairBefore | None:
    if role == "candidate":
        if not releases or releases[-1].digest not in labels:
            return None
        newest = releases[-1]
        own_days = data.cube.loc[(data.cube["period"] == 0) & (data.cube["pair_digest"] == digest), "day"]
        return PairBefore(
            digest=newest.digest,
            label=labels[newest.digest],
            why="production beside it",
            release=newest,
            days=tuple(sorted({int(day) for day in own_days})),
        )
    own = max((place for place, release in enumerate(releases) if release.digest == digest), default=-1)
    earlier = [release for release in releases[: max(own, 0)] if release.digest != digest and release.digest in labels]
    if not earlier:
        return None
    return PairBefore(
        digest=earlier[-1].digest, label=labels[earlier[-1].digest], why="release before", release=earlier[-1]
    )


def labels_of(pairs: pd.DataFrame) -> dict[str, str]:
    """Return ``name version`` by digest; where two digests share both, the first 8 characters of the digest are added."""
    newest = pairs.sort_values(["last_at", "n"]).groupby("pair_digest").last()
    plain = {str(digest): f"{row['pair']} {row['prompt_version']}" for digest, row in newest.iterrows()}
    taken = list(plain.values())
    return {digest: label if taken.count(label) == 1 else f"{label} ({digest[:8]})" for digest, label in plain.items()}


def _aware(value: object) -> datetime:
    stamp = pd.Timestamp(value)  # type: ignore[arg-type]
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    found: datetime = stamp.to_pydatetime()
    return found

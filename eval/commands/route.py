"""``route replay``: what another routing policy would have done on a day that has been."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.arguments import with_local_aws
from service.kit.frame.display.output import AsJson, human_text, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from eval.suites.route.replay import RouteReplay
    from service.core.tasks.route.policy import RoutingPolicy
    from service.kit.settings import Settings

_SHOWN = 8
route = typer.Typer(no_args_is_help=True, help="Routing policies: what another one would have done.")


@route.callback()
def _group() -> None:
    # A group with one command: without this, typer would make the command the group.
    pass


@route.command("replay")
def replay_day(
    policy: Annotated[str, typer.Option(help="Name of the pair whose policy is tried: a file of prompts/route.")],
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day (UTC); default: today.")] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="A file of kept answers, one a line, in place of the bucket.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide a day's messages again by another policy: which would go elsewhere, why, and how long people would have waited.

    Of what customers wrote, only words of the task's own policy are kept: what a candidate looks for beside them finds nothing.
    """
    from eval.suites.route.replay import lines_of, replay
    from service.kit.settings import Settings

    settings = Settings()
    when = (datetime.now(UTC) if day is None else day).date()
    with human_text(as_json=as_json):
        rules = _policy(policy, settings)
        found = replay(_kept(when, settings) if file is None else lines_of(file), when, policy, rules)
        say("\n".join(_lines(found)))
    if as_json:
        print_json(_as_json(found))


def _policy(name: str, settings: "Settings") -> "RoutingPolicy":
    from eval.evaluation.evaluate import load_pairs
    from service.core.tasks.route import TASK
    from service.core.tasks.route.policy import policy_of
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair_file.artifacts import open_artifacts

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    (pair,) = load_pairs(TASK, cards, settings, [name])
    return policy_of(open_artifacts(pair, settings.prompts_dir / TASK.name))


def _kept(day: "date", settings: "Settings") -> "Iterator[str]":
    from eval.suites.route.replay import kept_of_day
    from service.answers_kept.archive import Archive
    from service.kit.aws.clients import client

    if settings.environment == "local":
        settings = with_local_aws(settings)
    yield from kept_of_day(Archive(client("s3", settings, attempts=2), settings.stores.archive_bucket), day)


def _lines(found: "RouteReplay") -> "Iterator[str]":
    changed = [one for one in found.messages if one.differs]
    yield f"{found.day}: {len(changed)} of {len(found.messages)} messages would go elsewhere by {found.candidate}"
    if found.unreadable:
        yield f"{found.unreadable} records could not be read and are left out"
    for (was, would_be), n in found.moves.most_common():
        yield f"  {n:>4}  {was} -> {would_be}" if was != would_be else f"  {n:>4}  {was}: another person"
    for one in changed[:_SHOWN]:
        message = one.situation.message
        yield f"  {one.situation.at:%H:%M} {message.channel.value}, {message.language}, {one.situation.customer.tier}"
        yield f"      was {one.was.agent or one.was.destination}: {'; '.join(one.was.reasons)}"
        yield f"      now {one.would_be.agent or one.would_be.destination}: {'; '.join(one.would_be.reasons)}"
    if len(changed) > _SHOWN:
        yield f"  and {len(changed) - _SHOWN} more (--json lists all)"
    if found.waits is None:
        yield "Waits: nobody was on duty, so none can be estimated"
        return
    yield f"Waits for a person, simulated with {found.places} conversations at a time (minutes: mean, 95th percentile):"
    for name in ("urgent", "others"):
        was, now = (getattr(side, name) for side in found.waits)
        yield f"  {name:<7} was {was.mean:6.1f} {was.p95:6.1f} (n={was.n})   now {now.mean:6.1f} {now.p95:6.1f} (n={now.n})"


def _as_json(found: "RouteReplay") -> dict[str, object]:
    from dataclasses import asdict

    return {
        "day": found.day.isoformat(),
        "candidate": found.candidate,
        "messages": len(found.messages),
        "unreadable": found.unreadable,
        "changed": [
            {
                "conversation": one.situation.conversation_id,
                "at": one.situation.at.isoformat(),
                "was": one.was.model_dump(mode="json"),
                "would_be": one.would_be.model_dump(mode="json"),
            }
            for one in found.messages
            if one.differs
        ],
        "places": found.places,
        "waits": None if found.waits is None else dict(zip(("was", "would_be"), map(asdict, found.waits), strict=True)),
    }

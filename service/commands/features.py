"""``features``: what is defined, computing it, comparing what is served with the warehouse, and one customer's values."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from service.core.tasks.upsell.similar import PastMessage
    from service.features.compare import FeatureBalance
    from service.features.compute import Computed, FeatureWriter
    from service.features.definitions import FeatureView
    from service.kit.settings import Settings
    from service.warehouse.port import Warehouse

features = typer.Typer(no_args_is_help=True, help="Figures of customers: define, compute, compare, and read them.")
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[VIEW]...", help="services, or services@2; default: all that are served.")
]


@features.command("list")
def list_features(as_json: AsJson = False) -> None:
    """Show every version of every view: its features, owner, whether it is served and when it was computed."""
    from service.features.definitions import read_views
    from service.features.leaks import refuse_leaks

    settings, now = _settings(), datetime.now(UTC)
    views = read_views().views
    refuse_leaks(views)
    found = [_described(settings, view, now) for view in views]
    if as_json:
        print_json(found)
        return
    for one in found:
        serves = "served" if one["serves"] else "beside"
        say(f"{one['id']}  {serves}, owner {one['owner']}, {one['computed']}")
        for name, about in one["features"].items():
            say(f"  {name}: {about}")


@features.command("compute")
def compute_features(names: Names = None) -> None:
    """Compute features of all customers as of now and serve them. Run again, it goes on where it was interrupted."""
    from service.features.leaks import refuse_leaks

    settings = _settings()
    views = _chosen(names)
    refuse_leaks(views)
    with closing(_warehouse(settings)) as warehouse:
        for view in views:
            _say_computed(_writer(settings, warehouse).compute(view))


@features.command("check")
def check_features(names: Names = None, as_json: AsJson = False) -> None:
    """Compare what is served with the warehouse, customer by customer. Exit code 1: something differs and nothing explains it."""
    from service.features.build import feature_scope, feature_table
    from service.features.compare import compare
    from service.features.leaks import refuse_leak

    settings = _settings()
    with closing(_warehouse(settings)) as warehouse:
        found = []
        for view in _chosen(names):
            refuse_leak(warehouse, view, probed=4)
            now = datetime.now(UTC)
            found.append(compare(warehouse, feature_table(settings), view, now, scope=feature_scope(settings)))
    if as_json:
        print_json([_as_json(one) for one in found])
    else:
        say("\n".join(line for one in found for line in _lines(one)))
    if not all(one.explained for one in found):
        raise typer.Exit(1)


@features.command("show")
def show_features(
    tenant: Annotated[str, typer.Argument(help="Whose customer it is.")],
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    names: Annotated[
        list[str] | None,
        typer.Option("--view", help="services, or services@2; repeat it. Default: all that are served."),
    ] = None,
) -> None:
    """Print one customer's features as they are served, with what is stale or missing, as JSON."""
    from service.features.build import feature_scope, feature_table
    from service.features.online import read_features

    settings = _settings()
    now, views = datetime.now(UTC), _chosen(names)
    found = read_features(feature_table(settings), views, tenant, customer, now, scope=feature_scope(settings))
    print_json(
        {
            "features": dict(found.values),
            "versions": found.versions,
            "stale_hours": dict(found.stale),
            "missing": found.missing,
            "left_out": dict(found.problems),
        }
    )


@features.command("index")
def index_messages(
    file: Annotated[
        Path, typer.Argument(help="One JSON object per line: id, inputs (of POST /v1/upsell), message, outcome.")
    ],
) -> None:
    """Index approved messages with their outcome, as examples for similar customers; replaces the index that is there."""
    from service.commands.knowledge import open_model
    from service.core.tasks.upsell.similar import build_similar
    from service.kit.records.tombstones import open_tombstones

    settings = _settings()
    tombstones = open_tombstones(settings)
    past = (
        one
        for one in _past_messages(file)
        if not tombstones.covers([one.customer], datetime.combine(one.approved_on, datetime.min.time(), UTC))
    )
    count = build_similar(past, open_model(settings), _index_file(settings), _indexed)
    say(f"{count} messages in {_index_file(settings)}")


@features.command("similar")
def similar_messages(
    file: Annotated[Path, typer.Argument(help="The inputs of POST /v1/upsell, as JSON.")],
) -> None:
    """Print a customer's inputs with examples: messages to similar customers that were approved before their day."""
    from pydantic import ValidationError

    from service.commands.knowledge import open_model
    from service.core.tasks.upsell.customer import UpsellInputs
    from service.core.tasks.upsell.similar import open_similar

    settings = _settings()
    try:
        inputs = UpsellInputs.model_validate_json(_text(file))
    except ValidationError as err:
        raise ConfigurationError(f"{file}: {_first(err)}") from None
    index = open_similar(_index_file(settings), open_model(settings))
    print_json(index.with_examples(inputs).model_dump(mode="json", exclude_none=True))


def _past_messages(file: Path) -> "Iterator[PastMessage]":
    from pydantic import ValidationError

    from service.core.tasks.upsell.customer import UpsellInputs
    from service.core.tasks.upsell.similar import PastMessage

    for number, line in enumerate(_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            inputs = UpsellInputs.model_validate(told["inputs"])
            yield PastMessage.of(inputs, told["message"], told["outcome"], id=told["id"])
        except ValidationError as err:
            raise ConfigurationError(f"{file}:{number}: {_first(err)}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigurationError(
                f"{file}:{number}: write one JSON object with id, inputs, message and outcome on each line"
            ) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"{file} cannot be read: {err}") from err


def _first(err: "ValidationError") -> str:
    one = err.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"


def _index_file(settings: "Settings") -> Path:
    return settings.state_dir / "similar" / "messages.jsonl"


def _indexed(done: int) -> None:
    if sys.stderr.isatty() or done % 6_400 == 0:
        say(f"{done} embedded", file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n", flush=True)


def _settings() -> "Settings":
    from service.access.control import account_key
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.settings import Settings
    from service.kit.telemetry.fields import set_account_key

    settings = with_endpoint(Settings())
    set_account_key(account_key(settings))
    return settings


def _warehouse(settings: "Settings") -> "Warehouse":
    from service.warehouse import open_warehouse

    return open_warehouse(settings, read_only=True)


def _chosen(names: list[str] | None) -> "tuple[FeatureView, ...]":
    from service.features.definitions import read_views

    views = read_views()
    return tuple(views.find(name) for name in names) if names else views.served()


def _writer(settings: "Settings", warehouse: "Warehouse") -> "FeatureWriter":
    from service.features.build import feature_scope, feature_table
    from service.features.compute import FeatureWriter
    from service.kit.records.shared_state import has_shared_state
    from service.kit.records.tombstones import open_tombstones

    if not has_shared_state(settings):
        raise ConfigurationError(
            "no table to write features to: start the local AWS with `omni up`, or set OMNI_AWS_ENDPOINT"
        )
    return FeatureWriter(
        warehouse=warehouse,
        rows=feature_table(settings),
        scope=feature_scope(settings),
        tombstones=open_tombstones(settings),
        report=_progress,
    )


def _progress(done: int, of: int) -> None:
    end = "\r" if sys.stderr.isatty() and done < of else "\n"
    if sys.stderr.isatty() or done == of or done % 10_000 == 0:
        say(f"{done} of {of} customers", file=sys.stderr, end=end, flush=True)


def _say_computed(done: "Computed") -> None:
    resumed = f" after {done.resumed_after} that an interrupted run had written" if done.resumed_after else ""
    say(f"{done.view}: {done.written} customers{resumed}, as of {done.as_of:%Y-%m-%d %H:%M:%S} UTC")
    if done.erased:
        say(f"{done.erased} left out: they were erased")
    for what, count in sorted(done.problems.items()):
        say(f"{count} values left out: {what}")


def _described(settings: "Settings", view: "FeatureView", now: datetime) -> dict[str, Any]:
    from service.features.build import feature_scope, feature_table
    from service.features.compute import last_run

    run = last_run(feature_table(settings), view, scope=feature_scope(settings))
    computed = "never computed"
    if run is not None:
        hours = (now - run.as_of).total_seconds() / 3600
        state = "" if run.finished else ", unfinished: compute it again"
        late = f", stale: older than {view.fresh_hours:g} h" if hours > view.fresh_hours else ""
        computed = f"computed {hours:.1f} h ago{state}{late}"
    return {
        "id": view.id,
        "serves": view.serves,
        "owner": view.owner,
        "computed": computed,
        "features": {name: column.about for name, column in view.columns.items()},
    }


def _lines(one: "FeatureBalance") -> list[str]:
    from service.features.compare import MEANING, UNEXPLAINED

    lines = [f"{one.view}: {one.offline} customers in the warehouse, {one.online} served, {one.equal} equal"]
    for why, count in sorted(one.differences.items()):
        shown = f" ({', '.join(one.examples[why])})" if why in UNEXPLAINED else ""
        lines.append(f"  {count} {why}: {MEANING[why]}{shown}")
    lines += [f"  {name} differs {count} times" for name, count in sorted(one.columns.items())]
    return lines


def _as_json(one: "FeatureBalance") -> dict[str, object]:
    return {
        "view": one.view,
        "offline": one.offline,
        "online": one.online,
        "equal": one.equal,
        "differences": dict(one.differences),
        "features": dict(one.columns),
        "explained": one.explained,
    }

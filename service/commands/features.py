"""``features``: what is defined, computing it, comparing what is served with the warehouse, and one customer's values."""

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
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

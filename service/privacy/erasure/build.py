"""Builds the eraser of one tenant from the settings and the inventory."""

from collections.abc import Callable
from functools import partial
from typing import Any

from service.access.sealing import KmsSealer
from service.access.shared_limits import account_keys_in_use
from service.answers_kept.answer_record import ANSWERS_PREFIX
from service.kit.aws.clients import client
from service.kit.aws.stores import TABLES
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import ConfigurationError
from service.kit.records.shared_state import SharedState, open_shared_state
from service.kit.settings import Settings
from service.kit.telemetry.fields import account_key_mark
from service.loading.loader import Opened
from service.loading.objects import PREFIXES
from service.privacy.erasure.eraser import Eraser
from service.privacy.erasure.folders import SearchedFolder
from service.privacy.erasure.objects import SearchedObjects
from service.privacy.erasure.places import Place, inventory
from service.privacy.erasure.rows import LoadedObjects, SearchedRows
from service.privacy.erasure.store import SearchedPlace
from service.privacy.erasure.tables import SearchedTable
from service.warehouse import open_warehouse
from service.warehouse.events import TABLES as EVENTS

# What leads to a stored answer is not all in the warehouse: pseudonyms of persons are in the object alone.
_ALWAYS_READ = frozenset({ANSWERS_PREFIX})


def build_eraser(
    settings: Settings,
    tenant: str,
    *,
    read_only: bool = False,
    read_everything: bool = False,
    of_tenants: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Eraser:
    """Return the eraser of ``settings``, which name an AWS. Asks the shared table, and nothing else.

    Args:
        settings: the settings.
        tenant: whose calls are searched; other data is found by the customer's ids.
        read_only: the warehouse is opened for reading.
        read_everything: read every object, also those that the warehouse knows: needed once the log key was changed.
        of_tenants: search only what can be one tenant's, and read every object: the warehouse does not know its tenant.
        report: told of progress, without personal data.

    Raises:
        ConfigurationError: there is no AWS, or OMNI_LOG_KEY is not the service's.
    """
    shared = open_shared_state(settings)
    if shared is None:
        raise ConfigurationError("no stores to search: set OMNI_AWS_ENDPOINT, or run `omni up`")
    opened = _warehouse(settings, read_only=read_only)
    _check_account_key(shared, report)
    if settings.stores.records_bucket is None:
        report("not searched: recordings and chats that Amazon Connect keeps; OMNI_RECORDS_BUCKET names their bucket")
    places = [
        *_tables(settings),
        *_objects(settings, tenant, None if read_everything or of_tenants else opened),
        *_rows(opened),
        *_folders(settings),
    ]
    wanted = [one for one in places if (one.place.is_of_tenants if of_tenants else one.place.is_of_customers)]

    def reclaim() -> None:
        if opened is not None:
            warehouse = opened()
            try:
                warehouse.reclaim()
            finally:
                warehouse.close()

    return Eraser(places=wanted, shared=shared, now=wall_clock(settings.clock_file), report=report, reclaim=reclaim)


def _check_account_key(shared: SharedState, report: Callable[[str], None]) -> None:
    """Compare our account key with that of the running service: with another one nothing that is kept by hashes is found."""
    used = account_keys_in_use(shared)
    if not used:
        report("note: no task of the service runs, so nobody can tell whether OMNI_LOG_KEY is the one that it uses")
    elif used != {account_key_mark()}:
        raise ConfigurationError(
            "OMNI_LOG_KEY is not the key of the running service, so what is kept under hashes of an account would not be "
            "found: take it from the service's secret"
        )


def _warehouse(settings: Settings, *, read_only: bool) -> Opened | None:
    is_redshift = settings.redshift.workgroup is not None or settings.redshift.cluster is not None
    if not is_redshift and not settings.warehouse_file.exists():
        return None
    return partial(open_warehouse, settings, read_only=read_only)


def _tables(settings: Settings) -> list[SearchedPlace]:
    dynamodb, names = client("dynamodb", settings, attempts=1), settings.flat()
    shapes = {shape.setting: shape for shape in TABLES}

    def sealer(place: Place) -> KmsSealer | None:
        if place.sealed is None:
            return None
        key = settings.stores.callbacks_kms_key
        return KmsSealer(partial(client, "kms", settings), key, sealed_as=place.sealed.sealed_as)

    return [
        SearchedTable(dynamodb, shapes[setting], names[setting], place, sealer(place))
        for setting, place in inventory().tables.items()
        if place.is_searched
    ]


def _objects(settings: Settings, tenant: str, opened: Opened | None) -> list[SearchedPlace]:
    s3, names = client("s3", settings), settings.flat()
    loaded = LoadedObjects(opened, [(event, inventory().warehouse[event.table]) for event in EVENTS])
    found: list[SearchedPlace] = []
    for name, place in inventory().prefixes.items():
        if not place.is_searched or place.bucket not in names:
            continue
        prefix = (place.prefix or name).format(tenant=tenant)
        by_warehouse: dict[str, Any] = {}
        if name in PREFIXES and name not in _ALWAYS_READ:
            by_warehouse = {"loaded": loaded.known, "own": loaded.of}
        found.append(SearchedObjects(s3, names[place.bucket], prefix, place, **by_warehouse))
    return found


def _rows(opened: Opened | None) -> list[SearchedPlace]:
    events = {event.table: event for event in EVENTS}
    return [
        SearchedRows(events[table], place, opened)
        for table, place in inventory().warehouse.items()
        if place.is_searched
    ]


def _folders(settings: Settings) -> list[SearchedPlace]:
    folders = {"spool": settings.spool_folder}
    return [
        SearchedFolder(folders.get(name, settings.state_dir / name), place)
        for name, place in inventory().folders.items()
        if place.is_searched
    ]

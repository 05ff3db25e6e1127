"""Builds the life cycle of tenants from the settings."""

from collections.abc import Callable

from service.access.control import account_key, open_changes
from service.calls.store.form_store import build_forms
from service.calls.store.states import CallJobs
from service.calls.tenants.desk import Residency
from service.calls.tenants.store import build_tenants
from service.core.unit.cards import ModelCards
from service.kit.aws.clients import client
from service.kit.aws.stores import CALLS
from service.kit.frame.clock import wall_clock
from service.kit.frame.errors import ConfigurationError
from service.kit.records.build import open_rows
from service.kit.records.shared_state import open_shared_state
from service.kit.settings import Settings
from service.kit.telemetry.fields import set_account_key
from service.privacy.erasure.build import build_eraser
from service.privacy.erasure.eraser import Eraser
from service.privacy.tenants.life_cycle import TenantLifeCycle
from service.privacy.tenants.receipts import TenantLedger


def build_life_cycle(
    settings: Settings, *, read_only: bool = False, report: Callable[[str], None] = lambda line: None
) -> TenantLifeCycle:
    """Return the life cycle of the settings' tenants. ``read_only``: the warehouse is opened for reading.

    Raises:
        ConfigurationError: there is no AWS, or model cards or access files are wrong.
    """
    shared = open_shared_state(settings)
    if shared is None:
        raise ConfigurationError("no stores to keep tenants in: set OMNI_AWS_ENDPOINT, or run `omni up`")
    set_account_key(account_key(settings))  # part of what a conversation left is kept under hashes
    dynamodb, now = client("dynamodb", settings), wall_clock(settings.clock_file)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")

    def eraser(tenant: str) -> Eraser:
        return build_eraser(settings, tenant, read_only=read_only, of_tenants=True, report=report)

    return TenantLifeCycle(
        tenants=build_tenants(settings, dynamodb=dynamodb),
        forms=build_forms(settings, dynamodb=dynamodb, now=now),
        jobs=CallJobs(open_rows(settings, CALLS, dynamodb)),
        access=open_changes(settings),
        ledger=TenantLedger(shared),
        residency=Residency(region=settings.aws.region, cards=cards, endpoint=settings.bedrock.endpoint),
        eraser=eraser,
        config_place=f"table {settings.stores.config_table}",
        now=now,
    )

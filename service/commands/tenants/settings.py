"""Changes some of a tenant's settings and leaves the others as they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.calls.tenants.store import ConfiguredTenant as KeptTenant
    from service.kit.settings import Settings


def change_tenant(settings: "Settings", tenant: str, changes: Mapping[str, object]) -> "KeptTenant":
    """Change some of a tenant's settings; None removes one.

    Raises:
        ConfigurationError: there is no such tenant.
    """
    from service.calls.tenants.store import TenantSettings, build_tenants
    from service.kit.aws.clients import client

    store = build_tenants(settings, dynamodb=client("dynamodb", settings))
    known = store.get(tenant)
    if known is None:
        raise ConfigurationError(f"there is no tenant {tenant!r}")
    kept = {name: getattr(known, name) for name in TenantSettings.model_fields}
    return store.configure(tenant, TenantSettings.model_validate({**kept, **changes}))

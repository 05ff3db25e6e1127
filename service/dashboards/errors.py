"""Why a dashboard cannot be shown; each message tells the operator what to do, and none of them holds a row."""

from service.errors import FailureCode, ServiceError


class WarehouseUnreadable(ServiceError):
    """The warehouse is missing, locked, or gave an error."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class ExtraMissing(WarehouseUnreadable):
    """What reads the warehouse is not installed beside this service."""


class DashboardsBusy(WarehouseUnreadable):
    """Too many questions at once, or one that takes too long."""


class RangeInvalid(ValueError):
    """Days that cannot be asked for: the caller's mistake, and no failure of the service."""

"""Errors of the dashboards; each message tells the operator what to do and quotes no row."""

from service.kit.frame.errors import FailureCode, ServiceError


class WarehouseUnreadable(ServiceError):
    """The warehouse is missing, locked or reported an error."""

    status = 503
    code = FailureCode.UPSTREAM_UNAVAILABLE


class ExtraMissing(WarehouseUnreadable):
    """The warehouse extra is not installed with this service."""


class DashboardsBusy(WarehouseUnreadable):
    """Too many queries at once, or a query that takes too long."""


class AskedInvalid(ValueError):
    """The caller asked for something invalid; this is not a failure of the service."""


class RangeInvalid(AskedInvalid):
    """The range of days is invalid."""


class TaskUnknown(AskedInvalid):
    """The warehouse holds no answers of this task."""


class FormUnknown(AskedInvalid):
    """No call of the tenant was scored by this form."""

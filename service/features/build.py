"""Opens the table of features by the settings."""

from service.kit.aws.stores import FEATURES
from service.kit.records.build import open_rows
from service.kit.records.rows import Rows
from service.kit.settings import Settings


def feature_table(settings: Settings) -> Rows:
    """Return the table of the settings; contacts nothing."""
    return open_rows(settings, FEATURES)


def feature_scope(settings: Settings) -> str:
    """Return what stands in front of every partition, so that stages can share a table."""
    return str(settings.stage)

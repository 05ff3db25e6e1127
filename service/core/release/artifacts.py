"""Verifies the artifacts that a released pair names before it is served: this process must have the bytes of the evaluation."""

from collections.abc import MutableMapping
from dataclasses import replace

from service.core.release.served import ServedPair
from service.core.unit.pair_file.artifacts import open_artifacts
from service.kit.frame.errors import PairError, RegistryError
from service.kit.settings import Settings


def with_artifacts(
    served: ServedPair, settings: Settings, kept: MutableMapping[str, bytes] | None = None
) -> ServedPair:
    """Return ``served`` with its artifacts' verified bytes. ``kept``: see ``open_artifacts``. Reads the disk.

    Raises:
        RegistryError: a file is missing here, or is another one than was released; the message says which, and what to do.
    """
    try:
        pair = open_artifacts(served.pair, settings.prompts_dir / served.pair.task, kept)
    except PairError as err:
        raise RegistryError(f"release {served.sequence} is not served: {err}") from err
    return served if pair is served.pair else replace(served, pair=pair)

"""Reads the second copy of the releases, so that a release removed from the registry is noticed on a cold start, too."""

from pathlib import Path
from urllib.parse import unquote

from service.errors import RegistryError
from service.release.release import read_release
from service.release.statements import TrustedKeys
from service.settings import Settings


def ledger_copy(task: str, settings: Settings) -> Path:
    """Return the file copy of the task's ledger: JSON lines, one signed envelope each."""
    if settings.release.ledger_dir is not None:
        return settings.release.ledger_dir / f"{task}.jsonl"
    uri = settings.registry.uri
    beside = (
        Path(unquote(uri.removeprefix("sqlite:///"))).parent if uri.startswith("sqlite:///") else settings.state_dir
    )
    return beside / "ledger" / f"{task}.jsonl"


def newest_in_ledger(task: str, settings: Settings, keys: TrustedKeys) -> int:
    """Return the highest sequence of a verified release of ``task`` in the ledger's copy; 0 without a copy on this machine.

    Raises:
        RegistryError: the copy exists and cannot be read.
    """
    path = ledger_copy(task, settings)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 0
    except (OSError, UnicodeDecodeError) as err:
        raise RegistryError(f"the ledger {path} cannot be read ({type(err).__name__}); put it back") from err
    best = 0
    for number, line in enumerate(lines, start=1):
        try:
            release, _ = read_release(line, keys, f"line {number} of {path}")
        except RegistryError:
            continue  # ignore forged lines; `omni verify` reports them
        if release.task == task and release.environment == settings.environment:
            best = max(best, release.sequence)
    return best

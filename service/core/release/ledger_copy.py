"""Reads the second copy of releases and rollout steps, so that one removed from the registry is noticed on a cold start, too."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from service.core.release.release import Release, read_release
from service.core.release.rollout import Rollout, read_rollout
from service.core.release.statements import TrustedKeys, load_trusted_keys
from service.kit.frame.errors import ConfigurationError, RegistryError
from service.kit.settings import Settings


def ledger_copy(task: str, settings: Settings) -> Path:
    """Return the file copy of the task's ledger: JSON lines, one signed envelope each."""
    if settings.release.ledger_dir is not None:
        return settings.release.ledger_dir / f"{task}.jsonl"
    uri = settings.registry.uri
    beside = (
        Path(unquote(uri.removeprefix("sqlite:///"))).parent if uri.startswith("sqlite:///") else settings.state_dir
    )
    return beside / "ledger" / f"{task}.jsonl"


def rollout_ledger_copy(task: str, settings: Settings) -> Path:
    """Return the file copy of the task's rollout steps: JSON lines, one signed envelope each."""
    return ledger_copy(task, settings).with_name(f"{task}.rollouts.jsonl")


def newest_in_ledger(task: str, settings: Settings, keys: TrustedKeys) -> int:
    """Return the highest sequence of a verified release of ``task`` in the ledger's copy; 0 without a copy on this machine.

    Raises:
        RegistryError: the copy exists and cannot be read.
    """
    return _newest(ledger_copy(task, settings), task, settings, lambda line, what: read_release(line, keys, what)[0])


def newest_step_in_ledger(task: str, settings: Settings, keys: TrustedKeys) -> int:
    """Return the highest sequence of a verified rollout step of ``task`` in the copy; 0 without a copy on this machine.

    Raises:
        RegistryError: the copy exists and cannot be read.
    """
    return _newest(
        rollout_ledger_copy(task, settings), task, settings, lambda line, what: read_rollout(line, keys, what)
    )


def signed_step(task: str, settings: Settings, envelope: str) -> int:
    """Return the number of a rollout step of ``task`` and of this stage; 0 if ``envelope`` is none that verifies."""
    try:
        rollout = read_rollout(envelope, load_trusted_keys(settings.trusted_keys_file), "the newest rollout step")
    except (RegistryError, ConfigurationError):
        return 0
    return rollout.sequence if rollout.task == task and rollout.is_for(settings.stage, settings.environment) else 0


def _newest(path: Path, task: str, settings: Settings, read: Callable[[str, str], Release | Rollout]) -> int:
    best = 0
    for number, line in enumerate(ledger_lines(path), start=1):
        try:
            found = read(line, f"line {number} of {path}")
        except RegistryError:
            continue  # ignore forged lines; `omni verify` reports them
        if found.task == task and found.is_for(settings.stage, settings.environment):
            best = max(best, found.sequence)
    return best


def ledger_lines(path: Path) -> list[str]:
    """Return the lines of a copy; none if there is no copy on this machine.

    Raises:
        RegistryError: the copy exists and cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as err:
        raise RegistryError(f"the ledger {path} cannot be read ({type(err).__name__}); put it back") from err

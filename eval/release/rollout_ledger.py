"""The steps of a task's rollouts in MLflow's version tags, and their second copy on disk beside the ledger of releases."""

from collections.abc import Iterator
from dataclasses import dataclass

from eval.tracking.store import Tracking
from service.core.release.ledger_copy import ledger_lines, rollout_ledger_copy
from service.core.release.rollout import ROLLOUT_TAG_PREFIX, Rollout, read_rollout
from service.core.release.statements import TrustedKeys
from service.kit.frame.errors import RegistryError
from service.kit.frame.files import write_whole
from service.kit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedStep:
    """A verified step and its envelope."""

    rollout: Rollout
    envelope: str


def tagged_steps(task: str, tracking: Tracking, keys: TrustedKeys) -> Iterator[TaggedStep]:
    """Yield the verified steps in the tags of all versions; services refuse a forged or copied one, too."""
    for version, tags in tracking.version_tags(task):
        for name, text in tags.items():
            if not name.startswith(ROLLOUT_TAG_PREFIX):
                continue
            try:
                rollout = read_rollout(text, keys, f"{name} at version {version}")
            except RegistryError:
                continue
            if (rollout.task, rollout.tag) == (task, name):
                yield TaggedStep(rollout=rollout, envelope=text)


def copy_steps(task: str, tracking: Tracking, keys: TrustedKeys, settings: Settings) -> None:
    """Add the steps to the copy that it lacks.

    Raises:
        RegistryError: the copy cannot be read or written.
    """
    path = rollout_ledger_copy(task, settings)
    lines = ledger_lines(path)
    known = set(lines)
    steps = sorted(tagged_steps(task, tracking, keys), key=lambda step: step.rollout.sequence)
    lines += [step.envelope for step in steps if step.envelope not in known]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(f"{line}\n" for line in lines), durable=True)
    except OSError as err:
        raise RegistryError(
            f"the rollout step is in the registry, but its copy {path} cannot be written ({type(err).__name__}); make the folder "
            "writable: the next step writes it"
        ) from err

"""Dead letters: an object for each thing that failed for good, which says what, why and when, and quotes nothing of it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One letter: its own ``key``, and the ``name`` of what failed."""

    key: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """The letters under ``prefix``, in a folder for each reason. Blocking; raises what the objects' store raises.

    ``write`` puts a text under a key, ``keys`` lists those with a prefix in their order, ``delete`` ignores missing ones.
    """

    prefix: str
    suffix: str
    write: Callable[[str, str], object]
    keys: Callable[[str], Iterable[str]]
    delete: Callable[[Sequence[str]], object]

    def key_of(self, name: str, reason: str) -> str:
        """Return the key of the letter about ``name``."""
        return f"{self.prefix}{reason}/{name}{self.suffix}"

    def bury(self, name: str, reason: str, detail: str, now: datetime, about: Mapping[str, str]) -> None:
        """Write the letter about ``name``; ``about`` says where it is. Safe to repeat."""
        at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps({**about, "reason": reason, "detail": detail, "at": at})
        self.write(self.key_of(name, reason), text)

    def waiting(self, reason: str | None = None) -> Iterator[DeadLetter]:
        """Yield all letters, or those with one reason, in the order of their keys."""
        for key in self.keys(self.prefix if reason is None else f"{self.prefix}{reason}/"):
            why, _, rest = key.removeprefix(self.prefix).partition("/")
            yield DeadLetter(key=key, name=rest.removesuffix(self.suffix), reason=why)

    def replayed(self, letters: Iterable[DeadLetter], outcomes: Mapping[str, str | None]) -> None:
        """Delete the letters whose things have arrived now, or have a letter with another reason.

        ``outcomes`` has the reason for which a thing failed again, None if it arrived, by name; what is missing keeps its letter.
        """
        gone = [one.key for one in letters if one.name in outcomes and outcomes[one.name] != one.reason]
        if gone:
            self.delete(gone)

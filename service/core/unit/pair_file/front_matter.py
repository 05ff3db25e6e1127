"""The YAML at the top of a pair file, and the line on which each of its keys stands."""

import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from service.kit.frame.errors import PairError
from service.kit.frame.strict import NotStrict, parse_yaml


class FrontMatter:
    """Parsed front matter; keys are named with dots (``model.options``). ``body`` is the text after it, from ``body_line`` on."""

    def __init__(self, path: Path, text: str) -> None:
        """Parse ``text``, the whole file with lines that end with a line feed.

        Raises:
            PairError: there is no front matter, or it is no YAML mapping.
        """
        self.path = path
        self.lines: dict[str, int] = {}
        self._blocks: set[str] = set()
        lines = text.split("\n")
        # An indented '---' is part of a text, such as a rule in a part's prompt.
        ends = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
        if len(ends) < 2 or ends[0] != 0:
            self.fail("", "no front matter: the file starts with a line '---', YAML, and a second line '---'", line=1)
        end = ends[1]
        self.body = "\n".join(lines[end + 1 :])
        self.body_line = end + 2
        try:
            node, data = parse_yaml("\n".join(lines[1:end]))
        except NotStrict as err:
            self.fail("", f"front matter: {err}; put a text with ': ' in quotes", line=(err.line or 1) + 1)
        if not isinstance(data, dict):
            self.fail("", "front matter must be a mapping of keys", line=2)
        self.data: dict[str, Any] = data
        self._walk(node, "")

    def _walk(self, node: Any, prefix: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{prefix}.{key.value}" if prefix else str(key.value)
            if name in self.lines:
                self.fail(name, f"key {name!r} appears twice; keep one", line=key.start_mark.line + 2)
            self.lines[name] = key.start_mark.line + 2
            if isinstance(value, yaml.ScalarNode) and value.style == "|":
                self._blocks.add(name)
            self._walk(value, name)

    def get(self, dotted: str) -> Any:
        """Return the value of a key, None where it is missing."""
        value: Any = self.data
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def fail(self, key: str, message: str, *, line: int | None = None) -> NoReturn:
        """Raise ``PairError`` for ``line``, or for that of ``key`` or of what encloses it."""
        if line is None:
            while key and key not in self.lines:
                key = key.rpartition(".")[0]
            line = self.lines.get(key, 1)
        raise PairError(f"{self.path}:{line}: {message}")

    def check_keys(self, sections: Mapping[str, frozenset[str]], required: Iterable[str]) -> None:
        """Check that each section holds known keys only, and that no required key is missing.

        Raises:
            PairError: a key is unknown or missing, or a section is no mapping.
        """
        for prefix, allowed in sections.items():
            section = self.get(prefix) if prefix else self.data
            if section is None:
                continue
            if not isinstance(section, dict):
                self.fail(prefix, f"{prefix!r} must be a mapping with: {', '.join(sorted(allowed))}")
            for key in section:
                if key not in allowed:
                    self.fail(
                        f"{prefix}.{key}" if prefix else str(key),
                        f"unknown key {key!r}{f' in {prefix!r}' if prefix else ''}; {near_or_all(str(key), allowed)}",
                    )
        for name in required:
            if self.get(name) is None:
                self.fail(name, f"key {name!r} is missing; add it to the front matter")

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            self.fail(key, f"{key!r} must be a non-empty text (found {value!r}); put a number or date in quotes")
        return value

    def block(self, key: str) -> tuple[str, int]:
        """Return a text that is written as a block (``key: |``), and the line on which it begins."""
        value = self.text(key)
        if key not in self._blocks:
            self.fail(key, f"{key!r} must be a block: '{key.rpartition('.')[2]}: |', and its lines indented below")
        return value, self.lines[key] + 1

    def text_equals(self, key: str, wanted: str) -> None:
        """Check that a text is the one that the file's path requires."""
        if self.text(key) != wanted:
            self.fail(key, f"{key!r} is {self.get(key)!r}, but the file's path requires {wanted!r}; make them equal")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; none where the key is missing."""
        value = self.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.fail(key, f"{key!r} must be a list of non-empty texts")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Return a truth value; False where the key is missing."""
        value = self.get(key) or False
        if not isinstance(value, bool):
            self.fail(key, f"{key.rpartition('.')[2]} must be true or false")
        return value

    def number(self, key: str, *, whole: bool = False, zero: bool = False, default: float | None = None) -> Any:
        """Return a number above zero, or from zero on with ``zero``."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        kind = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not math.isfinite(value):
            self.fail(key, f"{key!r} must be {kind} (found {value!r})")
        if value < 0 or (value == 0 and not zero):
            self.fail(key, f"{key!r} must be above zero (found {value})")
        return value


def near_or_all(name: str, known: Iterable[str], all_are: str = "allowed") -> str:
    """Return the hint to the known name that was probably meant, or to all of them."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"{all_are}: {', '.join(sorted(known)) or 'none'}"

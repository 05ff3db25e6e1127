"""Reads the templates of one prompt, a pair's body or a part's block: its messages, and the untrusted variables in them."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from service.core.unit.pair import VARIABLE, PromptMessage, Role
from service.core.unit.pair_file.front_matter import FrontMatter, near_or_all

_ROLE_LINE = re.compile(r"^(system|user|assistant):[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The text of a prompt. It begins on ``line`` of the file; ``inputs_key`` is the key that declares its variables."""

    source: FrontMatter
    text: str
    line: int
    inputs_key: str = "inputs"
    called: str = "the body"

    def messages(self) -> tuple[PromptMessage, ...]:
        """Return the messages.

        Raises:
            PairError: a message is empty, or the roles are not one system, then user and assistant.
        """
        source = self.source
        marks = list(_ROLE_LINE.finditer(self.text))
        before = self.text[: marks[0].start()] if marks else self.text
        if not marks or before.strip():
            source.fail(
                "", f"{self.called} must start with a line 'system:', followed by a line 'user:'", line=self.line
            )
        messages = []
        for number, mark in enumerate(marks):
            end = marks[number + 1].start() if number + 1 < len(marks) else len(self.text)
            content = self.text[mark.end() : end].strip("\n").rstrip()
            if not content.strip():
                line = self.line + self.text[: mark.start()].count("\n")
                source.fail("", f"message {mark[1]!r} is empty", line=line)
            role: Role = mark[1]  # type: ignore[assignment]  # the pattern admits these three words only
            messages.append(PromptMessage(role=role, content=content))
        roles = [message.role for message in messages]
        if roles[0] != "system" or roles[-1] == "system" or "system" in roles[1:] or "user" not in roles:
            source.fail(
                "",
                f"messages must be one system, then user (and assistant) turns; found {', '.join(roles)}",
                line=self.line,
            )
        return tuple(messages)

    def variables(self, messages: tuple[PromptMessage, ...], known: Collection[str]) -> tuple[str, ...]:
        """Return the variables that the messages use, sorted.

        Raises:
            PairError: one is not in ``known``, not declared, not used, or not enclosed in its own tags.
        """
        source, inputs = self.source, self.source.get(self.inputs_key)
        if not isinstance(inputs, dict) or not inputs:
            source.fail(self.inputs_key, f"{self.inputs_key!r} must be a mapping of variable names, each with a 'kind'")
        used = self._used()
        for name in used:
            line = self._line_of("{{" + name) if "{{" + name in self.text else None
            if name not in known:
                hint = near_or_all(name, known, "the task supplies")
                source.fail("", f"unknown variable {name!r}; {hint}", line=line)
            if name not in inputs:
                source.fail(
                    "", f"variable {name!r} is used but not declared; add it under {self.inputs_key!r}", line=line
                )
            self._check_enclosed(name, messages, line)
        for name in inputs:
            key = f"{self.inputs_key}.{name}"
            if name not in used:
                source.fail(key, f"input {name!r} is declared but no message uses it; remove it or use {{{{{name}}}}}")
            kind = inputs[name].get("kind") if isinstance(inputs[name], dict) else None
            if kind != "string" or set(inputs[name]) - {"kind", "description"}:
                source.fail(key, f"input {name!r} must be {{kind: string}} with an optional description")
        return tuple(sorted(used))

    def _used(self) -> list[str]:
        for mark in ("{%", "{#"):
            if mark in self.text:
                self.source.fail(
                    "", f"{mark!r} is template code; a pair supports {{{{variable}}}} only", line=self._line_of(mark)
                )
        used: dict[str, None] = {}
        for found in re.finditer(r"\{\{.*?\}\}|\{\{", self.text, re.DOTALL):
            match = VARIABLE.fullmatch(found[0])
            if match is None:
                self.source.fail(
                    "", f"{found[0]!r} is not a variable; write {{{{name}}}}", line=self._line_of(found[0])
                )
            used[match[1]] = None
        return list(used)

    def _check_enclosed(self, name: str, messages: tuple[PromptMessage, ...], line: int | None) -> None:
        opened, closed = f"<{name}>", f"</{name}>"
        wrapped = rf"<{name}>\s*\{{\{{\s*{name}\s*\}}\}}\s*</{name}>"
        bodies = [message.content for message in messages if message.role == "user"]
        if not any(re.search(wrapped, body) for body in bodies) or sum(b.count("{{" + name) for b in bodies) != 1:
            self.source.fail(
                "",
                f"variable {name!r} holds customer text: use it once, in a user message, as {opened}{{{{{name}}}}}{closed}",
                line=line,
            )
        if opened not in messages[0].content:
            self.source.fail(
                "", f"the system message must name the tag {opened} that encloses untrusted text", line=self.line
            )

    def _line_of(self, needle: str) -> int:
        return self.line + self.text[: self.text.index(needle)].count("\n")

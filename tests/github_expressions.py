"""Reads the expressions of GitHub's workflows, as far as ours use them."""

import json
import re

_TOKENS = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||!=|==|!|[(),]|[A-Za-z_][\w-]*(?:\.(?:[\w-]+|\*))*|\d+)")
_INSIDE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_WORDS = {"&&": "and", "||": "or", "!": "not", "true": "True", "false": "False"}
_CALLS = {"contains", "always", "failure", "success", "hashFiles"}


class Expressions:
    """Evaluates expressions against ``contexts``, nested mappings by name such as ``github`` or ``steps``."""

    def __init__(self, contexts, *, failed=False):
        self.contexts, self.failed = contexts, failed

    def value(self, text):
        """Return what an expression is worth; a missing value is ""."""
        python, rest = [], text.strip().removeprefix("${{").removesuffix("}}").strip()
        while rest:
            found = _TOKENS.match(rest)
            assert found, f"cannot read {text!r} at {rest!r}"
            python.append(self._word(found[1], call=rest[found.end() :].startswith("(")))
            rest = rest[found.end() :].strip()
        functions = {
            "at": self._at,
            "contains": lambda where, what: what in where,
            "always": lambda: True,
            "failure": lambda: self.failed,
            "success": lambda: not self.failed,
            "hashFiles": lambda *patterns: "content",
        }
        return eval(" ".join(python), {"__builtins__": {}}, functions)

    def condition(self, text):
        """Return whether a step or job with this ``if`` runs; without one it runs unless something failed before."""
        if not text:
            return not self.failed
        plain = " ".join(str(text).split())
        stays = self.failed and not re.search(r"\b(always|failure)\(", plain)
        return not stays and bool(self.value(plain))

    def filled(self, text):
        """Return ``text`` with its expressions replaced by their values."""
        return _INSIDE.sub(lambda found: self._shown(self.value(found[1])), self._shown(text))

    @staticmethod
    def _word(word, *, call):
        if word[0] == "'":
            return repr(word[1:-1].replace("''", "'"))
        if word in _WORDS:
            return _WORDS[word]
        if call and word in _CALLS:
            return word
        return f"at({word!r})" if word[0].isalpha() or word[0] == "_" else word

    def _at(self, path):
        found = [self.contexts]
        several = False
        for name in path.split("."):
            if name == "*":
                found, several = [item for group in found if group for item in group], True
            else:
                found = [item.get(name, "") if isinstance(item, dict) else "" for item in found]
        if several:
            return found
        return "" if found[0] is None else found[0]

    @staticmethod
    def _shown(value):
        if isinstance(value, bool):
            return str(value).lower()
        return json.dumps(value) if isinstance(value, dict | list) else str(value)

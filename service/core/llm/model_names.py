"""Compares the model that was asked with the name that an answer gives itself."""

import re

# A date, a revision or a channel, as providers append them: gpt-4o-mini-2024-07-18, gemini-2.0-flash-001, llama3.2:latest.
_REVISION = re.compile(
    r"(?:[-@:](?:\d{3,8}(?:-\d{2}){0,2}|\d{2}-\d{2}|v\d+(?::\d+)?|latest|preview|exp|beta|fast|free))*", re.IGNORECASE
)
_NO_LETTERS = re.compile(r"[^a-z0-9]")


def bare_name(name: str) -> str:
    """Return a model's name without provider, folders and file ending: ``openrouter/openai/gpt-4o`` is ``gpt-4o``."""
    return re.split(r"[/\\]", name)[-1].removesuffix(".gguf")


def same_family(asked: str, said: str, *, own_service: bool) -> bool:
    """Return whether ``said`` may be the model ``asked``.

    At a provider's ``own_service`` the name may only have a date, revision or channel more. A server of one's own often gives
    itself a longer name (``smollm2`` answers as ``SmolLM2-135M-Instruct.Q4_1``); there the beginning decides.
    """
    wanted, found = bare_name(asked).lower(), bare_name(said).lower()
    for channel in ("-latest", ":latest"):
        wanted, found = wanted.removesuffix(channel), found.removesuffix(channel)
    if found.startswith(wanted) and _REVISION.fullmatch(found[len(wanted) :]):
        return True
    return not own_service and _NO_LETTERS.sub("", found).startswith(_NO_LETTERS.sub("", wanted))

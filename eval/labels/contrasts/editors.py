"""Who edits what: answers sentence by sentence, or the replies of conversations."""

from collections.abc import Callable
from typing import NamedTuple

from eval.labels.contrasts.by_code import edits_by_code
from eval.labels.contrasts.sets import MinimalEdit
from eval.labels.contrasts.twins import edits_of_conversations
from eval.spine.judge_spec import CONDUCT, HARM_CLASSES


class Editor(NamedTuple):
    """The classes of harm of which code makes wrong edits, and the function that makes them."""

    classes: tuple[str, ...]
    edits: Callable[..., list[MinimalEdit]]


OF_ANSWERS = Editor(tuple(HARM_CLASSES), edits_by_code)
OF_CONVERSATIONS = Editor((CONDUCT,), edits_of_conversations)

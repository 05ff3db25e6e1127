"""Answers of planted systems whose cases are conversations: each given text is a whole run of the assistant's part."""

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from eval.dialogue.mutations import Gold
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.scorers import expectations_of
from eval.selftest.conversations import played
from eval.spine.cases import Case
from eval.spine.results import CaseResult

_RUN = TypeAdapter[Gold](Gold)


def text_of_gold(case: Case) -> str:
    """Return the case's gold run as the text that ``runs_of`` reads."""
    return _RUN.dump_json(expectations_of(case).gold).decode()


def runs_of(
    texts: Mapping[str, str], cases: Sequence[Case], *, episode: DialogueEpisode, repeats: int
) -> list[CaseResult]:
    """Return the conversations of an assistant that plays the runs ``texts`` (by case id), repeat after repeat."""
    runs = {case.id: _RUN.validate_json(texts[case.id]) for case in cases}
    return [played(episode, case, repeat, runs[case.id]) for repeat in range(repeats) for case in cases]

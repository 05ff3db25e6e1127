"""Prints how well a task's guard tells true replies from ones with a planted fault, on labelled replies."""

from collections.abc import Callable, Iterator, Sequence

from eval.dialogue.planted_replies import CheckedReply, checked_replies, load_replies
from eval.dialogue.play import DialogueEpisode
from eval.suites import load_suite
from figures.stats import rate_interval
from service.core.run.guard import kinds_of
from service.core.run.task import load_task
from service.kit.settings import Settings

_SETS = (("dev", "the guard was mended with these"), ("test", "held out"))


def reply_lines(task: str, settings: Settings) -> list[str]:
    """Return a table per set of labelled replies, and the dev replies that the guard gets wrong; none for a task without them.

    Of the test set no reply is shown: it stays held out only as long as nobody mends the guard by it.

    Raises:
        CaseError: a line of a set is wrong.
    """
    episode = load_suite(task).episode
    if not isinstance(episode, DialogueEpisode):
        return []
    lines: list[str] = []
    for name, about in _SETS:
        checked = checked_replies(load_replies(task, name, settings.datasets_dir), load_task(task), episode.world)
        if checked:
            lines += [f"guard on labelled replies, {name} ({len(checked)}; {about})", *_table(checked)]
            lines += _wrong(checked) if name == "dev" else []
    return lines


def _table(checked: Sequence[CheckedReply]) -> Iterator[str]:
    faulty = [item for item in checked if item.row.fault is not None]
    true = [item for item in checked if item.row.fault is None]
    yield f"  faulty replies found: {_share(faulty, lambda item: item.found)}"
    yield f"  found, with the kind and severity of the label: {_share(faulty, lambda item: item.named)}"
    yield f"  true replies held back: {_share(true, lambda item: item.held_back)}"
    again = [item for item in faulty if item.to_repair]
    yield f"  of those to write again, right once the quoted sentences are left out: {_share(again, lambda item: item.repaired)}"
    for title, rows, counts in (
        ("found, by fault", faulty, lambda item: item.found),
        ("held back though true, by content", true, lambda item: item.held_back),
    ):
        yield f"  {title}:"
        for variety in sorted({item.row.variety for item in rows}):
            yield f"    {variety}: {_share([item for item in rows if item.row.variety == variety], counts)}"


def _share(rows: Sequence[CheckedReply], counts: Callable[[CheckedReply], bool]) -> str:
    number = sum(map(counts, rows))
    share = rate_interval(number, len(rows))
    return f"{number} of {len(rows)}, {share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"


def _wrong(checked: Sequence[CheckedReply]) -> Iterator[str]:
    yield "  wrong:"
    for item in checked:
        wrong = item.held_back if item.row.fault is None else not item.named
        if wrong:
            yield f"    {item.row.id}: found {', '.join(kinds_of(item.findings)) or 'nothing'}: {item.row.reply['reply']}"

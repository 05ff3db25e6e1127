"""Edits by code: known changes to a good answer, drawn from a seed, so that nobody can have learned them by heart.

Each rule is a pattern that makes a statement wrong wherever it applies; its class is what a reader must do to see that. ``RIGHT``
rules change the form alone: whoever objects to those objects to being edited.
"""

import hashlib
import itertools
import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from eval.labels.contrasts.inventions import CAUSES, INVENTIONS, Invention
from eval.labels.contrasts.sets import MinimalEdit
from eval.spine.judge_spec import HARM_CLASSES
from service.core.statements.grounding.sentence import split_sentences

RIGHT = "right"
_ROUNDS = 3
_DATE = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? \d{1,2}\b"
_FIGURE = r"(?:[$€£]\d|\d)"
_NONE = re.compile(r"\b(?:no|not|nothing|nobody|none|never|neither|nor|without|unless|if)\b|n't\b", re.I)
_SAID = (
    "asked|asks|said|says|wants|wanted|wrote|called|reported|reports|disputes|disputed|believes|noticed|paid|signed|agreed|"
    "refused|accepted|complained|requested|requests|moved|bought|sent|mailed|expects|fears|feared|uploaded|submitted|texted|"
    "emailed|e-mailed|apologized|apologised|confirmed|thanked|insists|denies|denied|promised|offered|told"
)
_TOLD = "Asks|Says|Offers|Names|Repeats|Gives|Tells|Promises|Acts|Checks|Verifies|Explains|Apologises|Greets|Confirms|Speaks"
_DONE = {"bring": "brought", "book": "booked", "choose": "chosen", "complete": "completed", "sign": "signed", "enter": "entered",
         "download": "downloaded", "update": "updated", "open": "opened", "pay": "paid", "set": "set"}  # fmt: skip
_ORDERS = "|".join(f"[{name[0].upper()}{name[0]}]{name[1:]}" for name in _DONE)
_Change = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    harm_class: str
    pattern: re.Pattern[str]
    instead: str | _Change
    positive: bool = False  # only in sentences without a word of denial


def _rule(kind: str, harm_class: str, pattern: str, instead: str | _Change, *, positive: bool = False) -> _Rule:
    return _Rule(kind, harm_class, re.compile(pattern), instead, positive)


def _exchanged(kind: str, *pairs: tuple[str, str]) -> Iterator[_Rule]:
    for one, other in pairs:
        yield _rule(kind, "reversal", rf"\b{one}\b", other, positive=True)
        yield _rule(kind, "reversal", rf"\b{other}\b", one, positive=True)


_PAST = {
    "decide": "decided", "reply": "replied", "answer": "answered", "call": "called", "visit": "visited", "pay": "paid",
    "report": "reported", "send": "sent", "issue": "issued", "mail": "mailed", "replace": "replaced", "return": "returned",
    "bring": "brought", "file": "filed", "test": "tested", "inspect": "inspected", "review": "reviewed", "check": "checked",
    "refund": "refunded", "credit": "credited", "ship": "shipped", "repair": "repaired", "correct": "corrected",
    "move": "moved", "cancel": "canceled", "get": "got", "receive": "received", "come": "came", "write": "wrote",
    "start": "started", "install": "installed", "remove": "removed", "post": "posted", "arrive": "arrived",
    "tell": "told", "confirm": "confirmed", "provide": "provided", "hear": "heard", "submit": "submitted", "meet": "met",
}  # fmt: skip
_PLAIN = "|".join(_PAST)


def _done(match: re.Match[str]) -> str:
    return f"{match['who']}{_PAST[match['verb']]}"


_REVERSALS = (
    _rule(
        "negation",
        "reversal",
        r"\b(is|was|were|are|has been|have been|had been|did|does|will|can) (?=(?!to\b)[a-z])",
        r"\1 not ",
        positive=True,
    ),
    *_exchanged(
        "outcome_reversed",
        ("approved", "denied"),
        ("granted", "refused"),
        ("accepted", "rejected"),
        ("upheld", "dismissed"),
        ("eligible", "ineligible"),
        ("was restored", "was cut off"),
        ("is open", "is closed"),
        ("stays open", "stays closed"),
        ("still open", "already closed"),
        ("was reversed", "was left standing"),
        ("was waived", "was charged"),
        ("was lifted", "was kept in place"),
    ),
    *_exchanged(
        "money_direction", ("owes", "is owed"), ("overcharged", "undercharged"), ("was credited", "was charged")
    ),
    _rule("sequence_broken", "reversal", rf"\bbefore (?={_DATE}|[a-z]+ing\b)", "after "),
    _rule("sequence_broken", "reversal", rf"\bafter (?={_DATE}|[a-z]+ing\b)", "before "),
)
_ROLES = (
    _rule("roles_swapped", "roles", rf"(?<![\w'] )\b(?:She|He) (?={_SAID})", "The agent "),
    _rule("roles_swapped", "roles", rf"\b(?:[Tt]he|[Aa]n) agent (?=(?:{_SAID})\b)", "the customer "),
    _rule("roles_swapped", "roles", rf"\b(and|but) (?:she|he) (?=(?:{_SAID}|had)\b)", r"\1 the agent "),
    _rule("roles_swapped", "roles", rf"(?:^|(?<=[.!?] ))[A-Z][a-zé]+ [A-Z][a-zé'-]+ (?=(?:{_SAID})\b)", "The agent "),
    _rule("person_changed", "roles", r"\b(his|her) (wife|husband|son|daughter|mother|father|brother|sister|neighbou?r)\b",
          lambda match: f"{match[1]} {'landlord' if match[2][0] in 'wmsb' else 'tenant'}"),
    _rule("object_changed", "roles", r"\b(his|her|the customer's) (account|meter|bill|deposit|service)\b", r"the landlord's \2"),
    _rule("object_changed", "roles", r"\b([Yy])our (?=(?:passport|driving|proof|PIN|latest payslip|offer letter|identity|card|"
          r"account|app|phone|details|National)\b)", lambda match: ("T" if match[1] == "Y" else "t") + "he adviser's "),
    _rule("person_changed", "roles", r"\ban? (?:account |savings |business )?(?:adviser|specialist)\b", "a notary"),
    _rule("roles_swapped", "roles", r"\bthe customer(?='s? | [a-z]+s\b)", "the agent"),
    _rule("roles_swapped", "roles", r"\bthe agent(?='s? | [a-z]+s\b)", "the customer"),
    _rule("roles_swapped", "roles", rf"(?:^|(?<=[.!?] ))({_TOLD}) (?=[a-z])",
          lambda match: f"The customer {match[1].lower()} "),
)  # fmt: skip
_told_done = partial(_rule, "promise_as_done", "promise", positive=True)
_PROMISES = (
    _told_done(rf"(?P<who>)\bwill (?P<verb>{_PLAIN})\b", _done),
    _told_done(rf"(?P<who>)\b(?:is|are|was|were) to (?P<verb>{_PLAIN})\b", _done),
    _told_done(rf"(?P<who>)\b(?:promised|plans|means|intends|offered|hopes) to (?P<verb>{_PLAIN})\b",
          _done),
    _told_done(r"\bwill be (\w+(?:ed|t|n))\b", r"was \1"),
    _told_done(r"\b(?:is|are) to be (\w+(?:ed|t|n))\b", r"was \1"),
    _told_done(rf"\b(?:is|are) (?:scheduled|booked|set|planned) for (?={_DATE})", "took place on "),
    _told_done(rf"\bis due (?:on |by |back )?(?={_DATE})", "arrived on "),
    _told_done(rf"\b(?:decides|is to decide|rules) by (?={_DATE})", "decided on "),
    _told_done(r"\b(?:is|was) (?:promised|requested|asked for)\b", "was granted"),
    _told_done(r"\b(?:asks|asked|wants) (?:for )?(?=(?:a|an|the|his|her) (?:refund|credit|call|written|"
          r"payment|copy|letter|new|plan|full|waiver|answer|explanation))", "got "),
    _told_done(rf"(?P<who>)\b(?:has|have|had) yet to (?P<verb>{_PLAIN})\b", _done),
    _told_done(rf"\b(?:is|are|was|were) (?:expected|promised) (?:on |by |for )?(?={_DATE})", "came on "),
    _told_done(rf"(?<=, )promised (?:for|by) (?={_DATE})", "given on "),
    _told_done(r"\bawaits (?=(?:a|an|the|his|her)\b)", "has "),
    _told_done(r"\b(?:is|are) (?:pending|under review)\b", "has been settled"),
    _rule("claim_as_fact", "promise", r"\b(?:She|He|The customer|The caller) (?:says|said|believes|claims|thinks|insists) "
          r"(?:that )?(?=(?:the|it|she|he|a|an|her|his|this|no|they|nobody|someone|somebody)\b)", "It is established that "),
    _rule("claim_as_fact", "promise", r",? (?:she|he|the customer|the caller) (?:says|said|believes|thinks|claims)(?=[.,;])",
          ", as the records prove"),
    _told_done(r"\bpromised (?=(?:a|an|the|him|her) )", "provided "),
    _told_done(r"\b(?:is|are) (?:scheduled|booked|queued|planned)\b(?! (?:for|on)\b)", "took place"),
    _told_done(r"\b(?:is|are) (?:expected|promised)\b(?! (?:on|by|for|to)\b)", "has come"),
    _told_done(r"\b(?:asks|asked|wants|wanted) (?:for )?(?=(?:a|an|the|his|her|their) )", "got "),
    _told_done(r"\b(?:asks|asked|wants|wanted) to be (?=\w+(?:ed|n|t)\b)", "was "),
    _told_done(rf"\b(?P<who>(?:[Yy]ou|[Ww]e|I|[Tt]hey))'ll (?P<verb>{_PLAIN})\b",
               lambda match: f"{match['who']} {_PAST[match['verb']]}"),
    _told_done(r"\b(?:arrives?|comes?) in (\d+ (?:to \d+ )?(?:working )?days)", r"came \1 ago"),
    _told_done(rf"(?:^|(?<=[.!?] )|(?<=, ))(?P<verb>{_ORDERS}) (?=(?:a|an|the|your|any)\b)",
               lambda match: f"you have already {_DONE[match['verb'].lower()]} "),
    _told_done(rf"(?P<who>)\bneeds? to (?P<verb>{_PLAIN})\b", _done),
    _rule("claim_as_fact", "promise", r"\b(?:said|mentioned) (?=to be\b)", "proved "),
    _told_done(r"(?:\b(?:Offers|Promises|Asks for|Proposes)|(?<=\band )(?:offers|promises|asks for|proposes)) (?=[a-z])",
               lambda match: "Has provided " if match[0][0].isupper() else "has provided "),
    _rule("claim_as_fact", "promise", r"\b(?:reportedly|allegedly|apparently|supposedly|presumably)\b", "demonstrably"),
)  # fmt: skip
_OMISSIONS = (
    _rule("condition_dropped", "omission", r",? (?:only )?(?:unless|provided|subject to|as long as) [^,.;]{4,80}(?=[,.;])", ""),
    _rule("condition_dropped", "omission", r"(?<=[a-z\d]),? (?:only )?if [^,.;]{4,80}(?=[.;])", ""),
    _rule("bound_turned", "omission", rf"(?<!decides )(?<!decide )\bby (?={_DATE})", "no earlier than "),
    _rule("bound_turned", "omission", rf"(?<!\d )\b(?:until|through) (?={_DATE})", "from "),
    _rule("bound_turned", "omission", rf"\b(?:up to|at most|no more than|less than) (?={_FIGURE})", "at least "),
    _rule("bound_turned", "omission", rf"\b(?:at least|no less than|more than) (?={_FIGURE})", "at most "),
    _rule("bound_turned", "omission", r"\bwithin (?=\w+ (?:business )?(?:days?|hours?|weeks?|months?))", "no sooner than "),
    _rule("part_as_whole", "omission", r"\b(?:one|two|three|some|most|half|part) of (?=(?:the|his|her|their|its)\b)", "all of "),
    _rule("part_as_whole", "omission", r"\b(?:[Oo]ne|[Ss]ome|[Ss]everal|[Mm]ost) (?=[a-z]+s\b)", "all "),
    _rule("bound_turned", "omission", r"\b(?:within|from) the last (?=\w+ (?:months?|weeks?|days?))", "at least "),
    _rule("bound_turned", "omission", r"\bbefore (?=\d)", "after "),
    _rule("part_as_whole", "omission", r"\b[Uu]sually (?=[a-z])|\bmostly ", "always "),
    _rule("part_as_whole", "omission", r"(?<=[a-z]) or (?=(?:a |an |the |your )?[A-Za-z])", " and also ", positive=True),
    _rule("part_as_whole", "omission", r"\b(?:[Oo]ne|[Tt]wo) of (?=(?:two|three|four)\b)", "all of "),
    _rule("part_as_whole", "omission", r"\b(?:[Oo]nly|[Jj]ust) (?=(?:the|a|one|half|part)\b)", "everything, not only "),
    _rule("part_as_whole", "omission", r"\bpartly |\bpartially |\balmost |\bnearly ", "fully "),
)  # fmt: skip
_FORMS = (
    _rule("other_form", RIGHT, r"\bOctober (?=\d)", "Oct "),
    _rule("other_form", RIGHT, r"\bNovember (?=\d)", "Nov "),
    _rule("other_form", RIGHT, r"\bSeptember (?=\d)", "Sept "),
    _rule("other_form", RIGHT, r"\bOct (?=\d)", "October "),
    _rule("other_form", RIGHT, r"\bNov (?=\d)", "November "),
    _rule("other_form", RIGHT, r"\b(is|was|did|does|has|were) not\b", r"\1n't"),
    _rule("other_form", RIGHT, r"(?<=\d)\.00\b", ""),
    _rule("other_form", RIGHT, r"\be-mail", "email"),
    _rule("other_form", RIGHT, r"(?<=\$\d\d)(?=[ ,;])(?!,\d)", ".00"),
    _rule("other_form", RIGHT, r"(?<=\w) but (?=[a-z])", " yet "),
    _rule("other_form", RIGHT, r"\b(do|does|did|is|are|was|were|could|would|has|have)n't\b", r"\1 not"),
    _rule("other_form", RIGHT, r"\bworking (?=days?\b)", "business "),
    _rule("other_form", RIGHT, r"(?<=\d) ?AM\b", " a.m."),
    _rule("other_form", RIGHT, r"(?<=\d) ?PM\b", " p.m."),
    _rule("other_form", RIGHT, r"\bMonday\b", "Mon"),
    _rule("other_form", RIGHT, r"\bFriday\b", "Fri"),
)
_RULES = (*_REVERSALS, *_ROLES, *_PROMISES, *_OMISSIONS, *_FORMS)
_BY_CLASS: Mapping[str, tuple[_Rule, ...]] = {
    name: tuple(rule for rule in _RULES if rule.harm_class == name) for name in (*HARM_CLASSES, RIGHT)
}


def edits_by_code(
    answers: Iterable[tuple[str, str]],
    sources: Mapping[str, str],
    *,
    seed: str,
    wanted: Mapping[str, int],
    besides: Collection[str] = (),
    held: bool = False,
) -> list[MinimalEdit]:
    """Return up to ``wanted`` edits of each class, spread over the answers; fewer where no more apply.

    Args:
        answers: (case id, good answer); an answer is edited again in a class only when all others were tried.
        sources: by case id, what an answer may rest on; an invention must not stand there.
        seed: decides which answers are edited, and where.
        wanted: number of edits by ``HarmClass`` or ``RIGHT``.
        besides: texts that are not made again.
        held: the edits are ``MinimalEdit.held``.
    """
    ordered = sorted(answers, key=lambda item: hashlib.sha256(f"{seed}\0{item[0]}\0{item[1]}".encode()).digest())
    found: list[MinimalEdit] = []
    for harm_class, count in wanted.items():
        made: dict[str, MinimalEdit] = {}
        counts: dict[str, int] = {}
        for again, (case_id, good) in itertools.product(range(_ROUNDS), ordered):
            if len(made) >= count:
                break
            draws = random.Random(f"{seed}/{harm_class}/{again}/{case_id}/{good}")
            edited = _edited(good, sources.get(case_id, good), harm_class, draws, counts)
            if edited is not None and edited[1] not in made and edited[1] not in besides:
                kind, text = edited
                counts[kind] = counts.get(kind, 0) + 1
                name = f"{'held' if held else 'code'}-{harm_class}-{len(made)}"
                made[text] = _minimal(name, case_id, kind, harm_class, good, text, held=held)
        found += made.values()
    return found


def _minimal(name: str, case_id: str, kind: str, harm_class: str, good: str, text: str, *, held: bool) -> MinimalEdit:
    start = _shared(good, text)
    same = min(_shared(good[::-1], text[::-1]), len(good) - start, len(text) - start)
    while start > 0 and (start == len(good) - same or good.count(good[start : len(good) - same]) > 1):
        start -= 1
    wrong = harm_class != RIGHT
    return MinimalEdit(
        id=name,
        case_id=case_id,
        kind=kind,
        wrong=wrong,
        kept=False,
        before=good[start : len(good) - same],
        after=text[start : len(text) - same],
        good=good,
        harm_class=harm_class if wrong else "",
        held=held,
    )


def _shared(one: str, other: str) -> int:
    """Return how many letters both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _edited(
    good: str, source: str, harm_class: str, draws: random.Random, counts: Mapping[str, int]
) -> tuple[str, str] | None:
    """Return an edit of ``good`` as kind and text, of the kind that was made least often so far; None if no rule applies."""
    if harm_class == "invention":
        return _invented(good, source, draws)
    places = list(_places(good, _BY_CLASS[harm_class]))
    if not places:
        return None
    fewest = min(counts.get(rule.kind, 0) for rule, _ in places)
    rule, match = draws.choice([place for place in places if counts.get(place[0].kind, 0) == fewest])
    new = rule.instead(match) if callable(rule.instead) else match.expand(rule.instead)
    text = _capital_after_stop(good[: match.start()], new) + good[match.end() :]
    return rule.kind, text


def _places(good: str, rules: Sequence[_Rule]) -> Iterator[tuple[_Rule, re.Match[str]]]:
    spans = []
    start = 0
    for sentence in split_sentences(good):
        place = good.find(sentence, start)
        if place < 0:
            continue
        start = place + len(sentence)
        spans.append((place, start, _NONE.search(sentence) is None))
    for rule in rules:
        for match in rule.pattern.finditer(good):
            clean = any(first <= match.start() < last and positive for first, last, positive in spans)
            if clean or not rule.positive:
                yield rule, match


def _capital_after_stop(before: str, new: str) -> str:
    starts = not before.strip() or before.rstrip()[-1] in ".!?"
    return before + (new[:1].upper() + new[1:] if starts else new)


def _invented(good: str, source: str, draws: random.Random) -> tuple[str, str] | None:
    """Return the kind, and ``good`` with a sentence, or a reason, that its source does not mention."""
    known = f"{source}\n{good}".lower()

    def absent(items: Sequence[Invention]) -> list[Invention]:
        return [item for item in items if not re.search(item.absent, known)]

    sentences = [item for item in split_sentences(good) if item[-1] in ".!?"]
    if draws.random() < 0.3 and (causes := absent(CAUSES)):
        fits = [item for item in sentences if item.endswith(".") and "because" not in item and "since" not in item]
        if fits:
            sentence, cause = draws.choice(fits), draws.choice(causes)
            text = good.replace(sentence, f"{sentence[:-1]}, because {cause.text}.", 1)
            return cause.kind, text
    choices = absent(INVENTIONS)
    if not choices or not sentences:
        return None
    chosen, sentence = draws.choice(choices), draws.choice(sentences)
    text = good.replace(sentence, f"{sentence} {chosen.text}", 1)
    return chosen.kind, text

"""Finds a dataset by name: a case file of the task, or public data that is turned into cases on the fly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from eval.spine.cases import Case, Dataset, Expectations, load_cases, numbered_lines
from eval.spine.errors import CaseError
from eval.spine.suite import Suite
from eval.suites import load_case_rules
from service.kit.frame.strict import parse_json
from service.kit.settings import Settings

_TWEETSUMM_TIME = "2017-11-30T12:00:00Z"  # the tweets are from late 2017; the file carries no times
_TWEETSUMM_NOW = "2017-12-01T12:00:00Z"


def load_dataset(name: str, *, task: str, input_model: type[BaseModel], settings: Settings) -> Dataset:
    """Return the cases of ``datasets/<task>/<name>.jsonl`` as production meets them, or of the public set called ``name``."""
    public = _PUBLIC.get((task, name))
    if public is not None:
        return public(settings.public_data_dir)
    rules, folder = load_case_rules(task), settings.datasets_dir / task
    dataset = load_cases(folder / f"{name}.jsonl", input_model=input_model, expectations=rules.expectations)
    return replace(dataset, cases=rules.as_served(dataset.cases, folder))


def load_gate(suite: Suite, *, input_model: type[BaseModel], settings: Settings) -> Dataset:
    """Return the suite's gate set, with the cases that must pass beside it where the task has such a file.

    Raises:
        CaseError: a file is wrong, there is no gate set, or both files hold a case of one id.
    """
    gate = load_dataset(suite.gate_dataset, task=suite.task, input_model=input_model, settings=settings)
    path = settings.datasets_dir / suite.task / f"{suite.regression_dataset}.jsonl"
    if not suite.must_pass or not path.exists():
        return gate
    must_pass = load_dataset(
        suite.regression_dataset, task=suite.task, input_model=input_model, settings=settings
    ).cases
    both = {case.id for case in gate.cases} & {case.id for case in must_pass}
    if both:
        raise CaseError(f"{path} and {gate.source} both hold {min(both)!r}; give each case its own id")
    return replace(gate, must_pass=must_pass)


def load_tweetsumm(folder: Path) -> Dataset:
    """Return TweetSumm's dialogues (real customer service on Twitter, about 3 human summaries each) as cases.

    A dialogue is one ``social`` interaction. Source: Feigenblat et al. 2021, https://github.com/guyfe/Tweetsumm
    (CDLA-Sharing-1.0). It is read from ``folder`` and never copied into the project.
    """
    path = folder / "tweetsumm_110.jsonl"
    if not path.exists():
        raise CaseError(f"the public data set is not at {path}; set OMNI_PUBLIC_DATA_DIR to the folder that holds it")
    cases = []
    for number, line in numbered_lines(path):
        try:
            cases.append(_tweetsumm_case(parse_json(line)))
        except (ValueError, KeyError, TypeError) as err:
            raise CaseError(f"{path}:{number}: not a TweetSumm row ({type(err).__name__}: {err})") from err
    return Dataset(name="tweetsumm", cases=tuple(cases), source=str(path))


def _tweetsumm_case(row: dict[str, Any]) -> Case:
    case_id = str(row["id"])[:40]
    return Case(
        id=case_id,
        inputs={
            "as_of": _TWEETSUMM_NOW,
            "account_number": "0000000000",
            "contact_id": case_id,
            "interactions": [
                {
                    "interaction_id": "d1",
                    "channel": "social",
                    "timestamp": _TWEETSUMM_TIME,
                    "intent": "CustomerService",
                    "text": str(row["dialogue"]),
                }
            ],
        },
        expectations=Expectations(references=tuple(row["references"])),
        slices={"intent_family": "tweetsumm"},
        origin="tweetsumm",
    )


_PUBLIC: dict[tuple[str, str], Callable[[Path], Dataset]] = {("summarize", "tweetsumm"): load_tweetsumm}


def public_datasets(task: str) -> tuple[str, ...]:
    """Return the names of the public datasets that ``task`` is measured on besides its own."""
    return tuple(name for of, name in _PUBLIC if of == task)

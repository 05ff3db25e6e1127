import io
import json
from typing import ClassVar

import pytest
from pydantic import BaseModel

from eval.casecheck.check import check_folder, measure_specificity
from eval.casecheck.report import render_findings
from eval.report.console import result_console
from eval.spine.case_rules import CaseRules, FileRules
from eval.spine.errors import CaseError
from service.core.run.task import Task


class ShoutInputs(BaseModel):
    text: str


class Shout(Task[ShoutInputs]):
    name: ClassVar[str] = "shout"
    input_model: ClassVar[type[BaseModel]] = ShoutInputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})

    def values(self, inputs):
        return {"text": inputs.text}

    def check(self, text, rules):
        return text


LONG = "Our {0} sent a van on Monday and its driver left the gate open, so two goats went for a walk along the {1}."


def write(folder, file, *texts):
    rows = [{"id": f"{file}-{n}", "inputs": {"text": text}} for n, text in enumerate(texts)]
    (folder / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def printed(findings):
    stream = io.StringIO()
    render_findings(findings, result_console(stream))
    return stream.getvalue()


def test_a_task_without_rules_is_checked_for_what_holds_for_all(tmp_path):
    write(tmp_path, "dev", *(f"hello {n}" for n in range(40)))
    sound = check_folder(tmp_path, Shout(), CaseRules())
    assert sound.problems == ()
    assert "dev: 40 cases, 0 second references, no problems, digest " + sound.digests["dev"][:12] in printed(sound)

    write(tmp_path, "gate", LONG.format("baker", "river"), LONG.format("grocer", "canal"), "hello")
    copied = check_folder(tmp_path, Shout(), CaseRules(), only="gate")
    assert "gate.jsonl:2 gate-1: text shares " in printed(copied)
    assert [balance.file for balance in copied.balances] == ["gate"]
    assert check_folder(tmp_path, Shout(), CaseRules(), only="dev").problems == ()


def test_a_folder_without_cases_says_what_to_do(tmp_path):
    with pytest.raises(CaseError, match=r"no case file in .*; write dev.jsonl there"):
        check_folder(tmp_path, Shout(), CaseRules())


def test_the_data_card_must_name_the_digest_of_the_cases(tmp_path):
    write(tmp_path, "dev", "hello", "goodbye")
    digest = check_folder(tmp_path, Shout(), CaseRules()).digests["dev"][:12]
    card = tmp_path / "README.md"
    card.write_text(f"| `dev.jsonl` | 2 | `{digest}` |\n", encoding="utf-8")
    assert check_folder(tmp_path, Shout(), CaseRules()).problems == ()
    write(tmp_path, "dev", "hello", "farewell")
    (problem,) = check_folder(tmp_path, Shout(), CaseRules()).problems
    assert "bump the card's version" in str(problem)
    card.write_text("nothing about files\n", encoding="utf-8")
    (problem,) = check_folder(tmp_path, Shout(), CaseRules()).problems
    digest = check_folder(tmp_path, Shout(), CaseRules()).digests["dev"][:12]
    assert f"has no row in the table of README.md; add one: | `dev.jsonl` | cases | `{digest}` |" in str(problem)


def test_a_form_that_other_references_satisfy_is_counted(tmp_path):
    rows = [
        {
            "id": f"case-{n}",
            "inputs": {"text": text},
            "expectations": {
                "references": [reference],
                "facts": [{"statement": "it is so", "accepted": [form], "interaction_id": "text", "span": text}],
            },
        }
        for n, (text, reference, form) in enumerate(
            [
                ("a", "The goat was closed.", "closed"),
                ("b", "The van was closed.", "van"),
                ("c", "The cat left.", "cat"),
            ]
        )
    ]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    rate = measure_specificity(tmp_path, Shout(), CaseRules())["dev"]
    assert rate.value == pytest.approx(
        1 / 6
    )  # "closed" is found in one of six foreign references, "van" and "cat" in none


def test_a_broken_rule_on_all_cases_of_a_file_is_reported_for_the_file(tmp_path):
    def together(cases):
        if sum("goat" in case.inputs["text"] for case in cases) * 2 > len(cases):
            yield "more than half of the cases are about goats"

    write(tmp_path, "dev", "a goat", "two goats", "a cow")
    rules = CaseRules(files={"dev": FileRules(count=3, slices={}, together=together)})
    assert [str(problem) for problem in check_folder(tmp_path, Shout(), rules).problems] == [
        "dev.jsonl: more than half of the cases are about goats"
    ]
    write(tmp_path, "dev", "a goat", "two cows", "a cow")
    assert check_folder(tmp_path, Shout(), rules).problems == ()


def raw(folder, *rows):
    (folder / "dev.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return printed(check_folder(folder, Shout(), CaseRules())).splitlines()


def test_a_mistake_of_every_line_is_one_line_with_the_first_ones_and_the_count(tmp_path):
    (tmp_path / "README.md").write_text("# Shouts\n", encoding="utf-8")
    said = raw(tmp_path, *(json.dumps({"id": f"dev-{n}", "inputs": {"words": "hello"}}) for n in range(320)))
    assert said == [
        "dev.jsonl: none of its 320 lines is a valid case; mend what is named below",
        "dev.jsonl: field 'inputs.text': Field required; mend the line and run again (320 lines: 1, 2, 3, …, 320)",
        "",
        "dev: 0 cases, 0 second references, 321 problems",
    ]


def test_an_empty_file_is_called_empty(tmp_path):
    assert "dev.jsonl: is empty; write one JSON object per line" in raw(tmp_path, "", "")


def test_problems_that_differ_in_what_they_quote_are_shown_three_times_and_counted(tmp_path):
    rows = [{"id": f"dev-{n}", "inputs": {"text": f"hello {n}"}, "extra": n} for n in range(9)]
    same = raw(tmp_path, *map(json.dumps, rows), json.dumps({"id": "dev-10", "inputs": {"text": "hello"}}))
    assert "(9 lines: 1, 2, 3, …, 9)" in same[0]
    slices = [{"id": f"dev-{n}", "inputs": {"text": f"hello {n}"}, "slices": {"tone": f"t{n}"}} for n in range(9)]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, slices)), encoding="utf-8")
    rules = CaseRules(files={"dev": FileRules(count=9, slices={"tone": ("calm", "loud")})})
    said = printed(check_folder(tmp_path, Shout(), rules)).splitlines()
    assert said[:4] == [
        *(f"dev.jsonl:{n + 1} dev-{n}: slice 'tone' is 't{n}'; one of calm, loud" for n in range(3)),
        "dev.jsonl: 6 more lines like these, up to line 9",
    ]


def test_few_problems_are_shown_one_by_one(tmp_path):
    rows = [json.dumps({"id": f"dev-{n}", "inputs": {}}) for n in range(4)]
    assert len([line for line in raw(tmp_path, *rows) if "Field required" in line]) == 4

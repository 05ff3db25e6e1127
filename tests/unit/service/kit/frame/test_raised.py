"""Where an author's mistake is said to be: in the code that made it, never in a library that noticed it."""

import json
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from service.kit.frame.raised import raised_at, told

HERE = "tests/unit/service/kit/frame/test_raised.py"


def caught(code):
    try:
        code()
    except Exception as err:
        return err
    raise AssertionError("nothing was raised")


def test_the_place_is_the_line_that_called_the_library():
    def parse():
        return json.loads("{")

    assert raised_at(caught(parse)) == f"{HERE}:{parse.__code__.co_firstlineno + 1}"


def test_code_outside_the_project_is_named_without_its_folder(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text("1 / 0\n", encoding="utf-8")
    err = caught(lambda: exec(compile(path.read_text(encoding="utf-8"), str(path), "exec")))
    assert raised_at(err) == f"{tmp_path.name}/rules.py:1"


def _broken():
    return {}["urgency"]


def test_an_error_of_a_child_process_has_the_childs_place():
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        err = caught(pool.submit(_broken).result)
    assert raised_at(err) == f"{HERE}:{_broken.__code__.co_firstlineno + 1}"


def test_an_error_that_was_never_raised_has_no_place():
    assert told(KeyError("x")) == "KeyError: 'x'"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            lambda: re.compile("(urgent"),
            "error: missing ), unterminated subpattern at position 0 in the regular expression '(urgent'",
        ),
        (lambda: (_ for _ in ()).throw(ValueError("one\ntwo")), "ValueError: one two"),
    ],
)
def test_an_error_is_told_on_one_line_with_its_place(code, said):
    assert re.fullmatch(rf"{re.escape(said)} \(raised at {HERE}:\d+\)", told(caught(code)))

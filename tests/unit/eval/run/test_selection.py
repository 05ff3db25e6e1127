"""Which pairs an evaluation runs when nobody names any."""

import shutil
from types import SimpleNamespace

import pytest
from builders import make_pair, make_part

from eval.run import selection
from eval.run.selection import left_out_lines, select_pairs
from service.core.unit.cards import ModelCard, ModelCards
from service.kit.settings import Settings

CARDS = ModelCards(
    [
        ModelCard(id="code", short_name="code", wire="in_process", runs="local", context_tokens=9),
        ModelCard(id="small", short_name="small", wire="bedrock", runs="local", context_tokens=9),
        ModelCard(id="nova", short_name="nova", wire="bedrock", runs="provider", context_tokens=9),
    ]
)
PAIRS = [
    make_pair(name="floor", model="code", role="floor"),
    make_pair(name="demo", model="small", backup="code", role="demo"),
    make_pair(name="candidate", model="nova", backup="code"),
    make_pair(name="backed", model="code", backup="nova"),
]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def names(pairs):
    return [pair.name for pair in pairs]


def select(environment="local", endpoint=None, credentials=False):
    settings = Settings(environment=environment, bedrock={"bedrock_endpoint": endpoint})
    return select_pairs(PAIRS, CARDS, settings, credentials=lambda: credentials)


def test_locally_code_runs_and_neither_demos_nor_what_a_stand_in_would_answer():
    found = select()
    assert names(found.pairs) == ["floor"]
    assert names(found.without("demo")) == ["demo"]
    assert names(found.without("provider")) == ["candidate", "backed"]


@pytest.mark.parametrize(
    "where", [{"endpoint": "http://127.0.0.1:1"}, {"environment": "aws", "credentials": True}], ids=["endpoint", "aws"]
)
def test_where_the_provider_can_be_reached_its_candidates_run_and_the_demo_does_not(where):
    found = select(**where)
    assert names(found.pairs) == ["floor", "candidate", "backed"]
    assert names(found.without("demo")) == ["demo"]


def test_a_pair_is_a_demo_because_its_file_says_so_whatever_answers_it():
    pairs = [make_pair(name="a", model="small"), make_pair(name="b", model="code", role="demo")]
    found = select_pairs(pairs, CARDS, Settings(), credentials=lambda: False)
    assert (names(found.pairs), names(found.without("demo"))) == (["a"], ["b"])


def test_a_pair_is_left_out_if_one_of_its_parts_cannot_be_asked():
    pairs = [make_pair(name="judged", model="code", parts=(make_part(model="nova"),))]
    found = select_pairs(pairs, CARDS, Settings(), credentials=lambda: False)
    assert names(found.without("provider")) == ["judged"]


def test_without_credentials_aws_evaluates_the_floor():
    assert names(select(environment="aws").pairs) == ["floor"]


def test_credentials_are_looked_for_only_where_they_matter():
    def fail():
        raise AssertionError("an instance's metadata would be asked, which takes seconds")

    select_pairs(PAIRS, CARDS, Settings(environment="local", bedrock={"bedrock_endpoint": None}), credentials=fail)
    select_pairs(PAIRS[:2], CARDS, Settings(environment="aws", bedrock={"bedrock_endpoint": None}), credentials=fail)


def test_a_line_for_each_reason_names_the_pairs_and_the_command():
    settings = Settings(environment="local", bedrock={"bedrock_endpoint": None})
    demo, provider = left_out_lines(select().left_out, "summarize", settings)
    assert demo.startswith("Left out: demo. ")
    assert "A demo never has to pass" in demo
    assert demo.endswith("omni eval --pairs demo --dataset dev --cases 8")
    assert provider.startswith("Left out: candidate, backed. ")
    assert "OMNI_ENVIRONMENT=aws" in provider
    assert provider.endswith("omni eval")


def test_in_aws_the_line_says_that_credentials_are_missing():
    settings = Settings(environment="aws", bedrock={"bedrock_endpoint": None})
    demo, provider = left_out_lines(select(environment="aws").left_out, "scorecard", settings)
    assert "There are no AWS credentials" in provider
    assert provider.endswith("omni eval --task scorecard")
    assert "OMNI_ENVIRONMENT=local" in demo


def test_a_task_without_a_development_set_shows_the_demo_on_the_gates_cases(tmp_path):
    settings = Settings(environment="local", bedrock={"bedrock_endpoint": None}, root=tmp_path)
    demo, _ = left_out_lines(select().left_out, "summarize", settings)
    assert demo.endswith("omni eval --pairs demo --cases 8")


def test_nothing_left_out_is_no_line():
    assert left_out_lines((), "summarize", Settings()) == []


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o-mini", "OPENAI_API_KEY"),
        ("perplexity/sonar", "PERPLEXITYAI_API_KEY"),
        ("together_ai/x", "TOGETHERAI_API_KEY"),
        ("gemini/gemini-2.0-flash", "GOOGLE_API_KEY"),
        ("vertex_ai/gemini-2.0-flash", "VERTEXAI_PROJECT"),
    ],
)
def test_a_provider_without_a_key_is_left_out_with_the_command_that_names_it(monkeypatch, model, variable):
    monkeypatch.delenv(variable, raising=False)
    pair = make_pair(name="a", model=model)
    found = select_pairs([pair], CARDS, Settings(), credentials=lambda: False)
    (line,) = left_out_lines(found.left_out, "summarize", Settings())
    assert names(found.without("key")) == ["a"]
    assert line.endswith(f"models check {model}")
    monkeypatch.setenv(variable, "k")
    assert names(select_pairs([pair], CARDS, Settings(), credentials=lambda: False).pairs) == ["a"]


class Vanishing(dict):
    """An environment of which another thread takes a variable away while it is read."""

    def __iter__(self):
        names = list(super().__iter__())
        self.clear()
        return iter(names)


def test_variables_that_vanish_while_they_are_read_are_no_keys(monkeypatch):
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setattr(selection, "os", SimpleNamespace(environ=Vanishing(GROQ_API_KEY="k")))
    assert select_pairs([make_pair(name="a", model="groq/llama-3.3-70b-versatile")], CARDS, Settings()).without("key")


def test_code_whose_extra_is_not_installed_is_left_out_with_the_command_that_installs_it():
    code = ModelCard(
        id="guesses", short_name="guesses", wire="in_process", runs="local", context_tokens=9, extra="knowledge"
    )
    cards = ModelCards([code, ModelCard(id="code", short_name="code", wire="in_process", runs="local")])
    pairs = [make_pair(name="floor", model="code"), make_pair(name="guesser", model="guesses")]
    found = select_pairs(pairs, cards, Settings(), installed=lambda: False)
    assert (names(found.pairs), names(found.without("extra"))) == (["floor"], ["guesser"])
    (line,) = left_out_lines(found.left_out, "assistant", Settings())
    assert line == (
        "Left out: guesser. The extra that their code needs is not installed; install it: make setup EXTRAS=1"
    )
    assert names(select_pairs(pairs, cards, Settings(), installed=lambda: True).pairs) == ["floor", "guesser"]

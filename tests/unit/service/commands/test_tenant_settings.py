"""What ``omni tenant set`` makes of a tenant's own words and agents."""

from types import SimpleNamespace

import pytest

from service.calls.tenants.store import ConfiguredTenant
from service.commands.tenants import commands
from service.kit.frame.errors import ConfigurationError


@pytest.fixture
def kept(monkeypatch):
    known = {"acme": ConfiguredTenant(tenant="acme", name="Acme", own_words=("Acme Fibre",), agents=("Siobhan",))}

    def configure(name, settings):
        known[name] = ConfiguredTenant(tenant=name, **settings.model_dump())
        return known[name]

    monkeypatch.setattr(
        commands, "_cycle", lambda *_, **__: SimpleNamespace(get=known.__getitem__, configure=configure)
    )
    return known


def test_lists_are_replaced_emptied_and_otherwise_kept(kept, capsys):
    commands.set_tenant("acme", own_words=["Acme Fibre Plus", "AT&T"])
    assert (kept["acme"].own_words, kept["acme"].agents) == (("Acme Fibre Plus", "AT&T"), ("Siobhan",))
    assert "own words Acme Fibre Plus; AT&T, 1 agents" in capsys.readouterr().out
    commands.set_tenant("acme", own_words=[""])
    assert (kept["acme"].own_words, kept["acme"].agents) == ((), ("Siobhan",))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"own_words": [r"\d+"]}, r"--own-word: .* a digit or pattern would let numbers through"),
        ({"own_words": ["  "]}, "--own-word: a word is empty"),
        ({"agents": ["x" * 61]}, "--agent: a word has 61 characters, at most 60"),
        ({"own_words": ["Acme"] * 201}, "--own-word: .* at most 200 items"),
        ({"tags": ["=1"]}, "--tag: "),
    ],
)
def test_a_wrong_list_is_named_by_its_option(kept, given, says):
    before = kept["acme"]
    with pytest.raises(ConfigurationError, match=says):
        commands.set_tenant("acme", **given)
    assert kept["acme"] == before

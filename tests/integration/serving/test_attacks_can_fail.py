"""Every attack of `make chaos ONLY=attack` reports a service that lacks the defence that it tries, and no sound one."""

import sys
from pathlib import Path

import pytest

LOAD = Path(__file__).resolve().parents[2] / "load"
pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

# Attack, and the defence that tests/load/weakened.py takes away.
CASES = {
    "endless_headers": "connections_unbounded",
    "dripping": "connections_unbounded",
    "crowds": "newcomers_refused_when_full",
    "pipelines": "connections_unbounded",
    "hostile_bytes": "two_lengths_accepted",
    "forged_tokens": "signatures_of_tokens_unchecked",
    "fuzzed_requests": "wrong_values_repeated",
    "planted_addresses": "addresses_fetched",
    "hostile_files": "damaged_files_end_the_start",
    "forged_evidence": "signatures_of_releases_unchecked",
    "planted_escape_codes": "escape_codes_printed",
}


@pytest.fixture(scope="module")
def load():
    """The modules of tests/load, which are scripts beside each other."""
    sys.path.insert(0, str(LOAD))
    try:
        import attack
        import rig

        yield attack, rig
    finally:
        sys.path.remove(str(LOAD))


@pytest.fixture(scope="module")
def rig(load, tmp_path_factory):
    with load[1].Rig(tmp_path_factory.mktemp("rig"), latency="20") as made:
        yield made


def test_every_attack_has_its_case(load):
    assert set(CASES) == {each.__name__ for each in load[0].ATTACKS}


@pytest.mark.parametrize("name", CASES)
def test_an_attack_reports_a_service_without_the_defence(load, rig, tmp_path, monkeypatch, name):
    attack, made = load
    monkeypatch.setattr(attack, "GONE_S", 6)  # the header timeout of the sound service is 2 s
    weak = ("weakened", CASES[name])
    environment = attack.ENVIRONMENT | {"PYTHONPATH": attack.PYTHONPATH}
    with made.Service(rig, tmp_path / "log", module=(*weak, "service", "serve"), **environment) as service:
        target = attack.Target(rig, service, omni=(sys.executable, "-m", *weak, "omni"))
        assert target.alive() is None
        assert getattr(attack, name)(target) or target.alive()

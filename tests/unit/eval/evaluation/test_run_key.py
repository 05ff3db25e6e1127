"""What makes an evaluation another run, which neither waits for the first nor takes up its answers."""

from types import SimpleNamespace

from builders import make_pair

from eval.evaluation.evaluate import Options, _run_key
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings

MODEL = "openai/m"


def key_at(server):
    setting = SimpleNamespace(
        dataset=SimpleNamespace(digest="cases"),
        suite=SimpleNamespace(digest="suite"),
        cards=ModelCards([]),
        settings=Settings(bedrock={"model_endpoints": {MODEL: server}}),
    )
    return _run_key(Options(task="summarize"), setting, [make_pair(name="a", model=MODEL)], 1)


def test_the_same_pair_at_another_server_is_another_run():
    assert key_at("http://127.0.0.1:1/v1") == key_at("http://127.0.0.1:1/v1")
    assert key_at("http://127.0.0.1:1/v1") != key_at("http://127.0.0.1:2/v1")

"""What a stranger can write where an envelope belongs, from rubbish to a genuine one with something added."""

import json
import re
from types import SimpleNamespace

import pytest
from builders import make_pair
from forgeries import RUBBISH, VARIANTS, signed

from service.core.release.last_known_good import write_last_known_good
from service.core.release.registry import RegistryPairSource
from service.core.release.registry_record import from_registry, to_registry
from service.core.release.registry_version import verify_version
from service.core.release.release import DIGEST_TAG, newest_tag, read_release
from service.core.release.statements import envelope_digest, load_trusted_keys
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import RegistryError
from service.kit.settings import Settings

PAIR = make_pair()


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_in_place_of_a_release_is_refused_by_name(notary, name):
    text = RUBBISH[name](notary.sign(notary.release(PAIR)))
    with pytest.raises(RegistryError, match="release 1"):
        read_release(text, notary.keys, "release 1")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_genuine_release_in_another_form_is_refused(notary, name):
    text = VARIANTS[name](notary.sign(notary.release(PAIR)))
    with pytest.raises(RegistryError, match="release 1 is not in the form"):
        read_release(text, notary.keys, "release 1")
    with pytest.raises(RegistryError, match="it is not in the form"):
        envelope_digest(text, "it")


def test_a_forged_key_id_cannot_overwrite_terminal_lines(notary):
    text = signed(notary.sign(notary.release(PAIR)), keyid="\x1b[1A\x1b[2Kok")
    with pytest.raises(RegistryError) as caught:
        read_release(text, notary.keys, "release 1")
    assert "\x1b" not in str(caught.value)


def test_the_newest_release_is_found_behind_a_million():
    assert newest_tag({"omni.release.999999": "", "omni.release.1000000": ""}) == "omni.release.1000000"


def test_an_equal_number_written_differently_is_served_in_canonical_form():
    template, config = to_registry(PAIR)
    config = json.loads(json.dumps(config))
    config["omni_pair"]["sampling"]["max_output_tokens"] = 100.0  # the same digest, and no provider takes it
    found = from_registry(template, config, {DIGEST_TAG: PAIR.digest}, "here")
    assert found == PAIR
    assert isinstance(found.sampling.max_output_tokens, int)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_a_value_without_canonical_form_is_named(value):
    template, config = to_registry(PAIR)
    config["omni_pair"]["version"] = value
    with pytest.raises(RegistryError, match="here was changed in the registry"):
        from_registry(template, config, {DIGEST_TAG: PAIR.digest}, "here")


@pytest.fixture
def settings(tmp_path, notary):
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(notary.public_pem(), encoding="utf-8")
    return Settings(state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/none.db", trusted_keys=trusted)


def released(notary, sequence):
    template, config = to_registry(PAIR)
    tags = notary.tags(PAIR, release=notary.release(PAIR, sequence))
    found = SimpleNamespace(version=3, template=template, model_config=config, tags=tags)
    return verify_version("demo", found, "local", notary.keys, UnseenPolicy(stage="local", takes=True))


def test_an_unexpected_error_does_not_stop_the_refresh_thread(settings, notary):
    answers = [released(notary, 1), ValueError("what is this"), released(notary, 2)]

    def fetch():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    source = RegistryPairSource("demo", settings, fetch=fetch)
    source.refresh()
    source.refresh()
    assert source.current().sequence == 1
    assert "ValueError: what is this" in source.status().last_error
    source.refresh()
    assert (source.current().sequence, source.status().last_error) == (2, None)


def test_a_state_folder_that_cannot_be_written_does_not_stop_the_serving(settings, notary):
    settings.state_dir.write_text("a file where the folder should be", encoding="utf-8")
    source = RegistryPairSource("demo", settings, fetch=lambda: released(notary, 1))
    source.refresh()
    assert source.current().sequence == 1
    assert "cannot be kept" in source.status().last_error


def test_a_last_known_good_file_full_of_brackets_does_not_stop_the_start(settings, notary):
    path = settings.state_dir / "served" / "demo.json"
    path.parent.mkdir(parents=True)
    path.write_text("[" * 90_000, encoding="utf-8")
    source = RegistryPairSource("demo", settings, fetch=lambda: released(notary, 1))
    assert "is damaged (RecursionError)" in source.status().last_error
    source.refresh()
    assert source.current().sequence == 1


def test_a_trusted_key_that_was_cut_off_is_named(settings, notary):
    whole = notary.public_pem()
    settings.release.trusted_keys.write_text(whole + type(notary)().public_pem()[:60], encoding="utf-8")
    with pytest.raises(Exception, match=r"key 2 in .* is damaged"):
        load_trusted_keys(settings.release.trusted_keys)


@pytest.mark.parametrize("version", ["1e400", "[]", '"x"'])
def test_a_last_known_good_file_with_an_impossible_version_does_not_stop_the_start(settings, notary, version):
    path = settings.state_dir / "served" / "demo.json"
    path.parent.mkdir(parents=True)
    served = released(notary, 1)
    write_last_known_good(path, served, "local")
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'("registry_version": )\d+', rf"\g<1>{version}", text), encoding="utf-8")
    source = RegistryPairSource("demo", settings, fetch=lambda: served)
    assert "is damaged" in source.status().last_error

"""Which tenant an object belongs to, what its call is called, and names that must not pass as paths."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.calls.failure import CallFailed, FailureReason
from service.calls.keys import is_call_id, read_key, result_key
from service.calls.store.objects import TenantResults, WallBreached


@pytest.mark.acceptance("call-store-04")
def test_a_key_says_tenant_and_form_folder():
    source = read_key("acme/calls/support/monday/x y.wav", etag="e1")
    assert (source.tenant, source.form_folder) == ("acme", "support")
    assert read_key("acme/calls/x.wav", etag="e1").form_folder is None
    assert is_call_id(source.call_id)


@pytest.mark.parametrize(
    "key",
    [
        "acme/calls/../../brand/calls/x.json",
        "acme/calls/./x.json",
        "acme/calls//x.json",
        "acme/calls/..",
        "acme/calls/a\\..\\b.json",
        "acme/calls/a\nb.json",
        "acme/calls/",
        "acme/other/x.json",
        "../acme/calls/x.json",
        "/acme/calls/x.json",
        "ACME/calls/x.json",
        "_unknown/calls/x.json",
        "tmp/acme/x.json",
        "tmp/calls/x.json",
        "x.json",
        "",
    ],
)
@pytest.mark.acceptance("call-store-04", "call-step-01")
def test_a_key_outside_a_tenants_calls_is_refused(key):
    with pytest.raises(CallFailed) as caught:
        read_key(key, etag="e1")
    assert caught.value.reason is FailureReason.BAD_KEY


def test_nobody_is_the_tenant_of_all_tenants_transcriptions():
    with pytest.raises(WallBreached):
        TenantResults(None, "results", "tmp")


def test_an_event_without_a_version_is_refused():
    with pytest.raises(CallFailed, match="ETag"):
        read_key("acme/calls/x.json", etag="")


@pytest.mark.acceptance("call-step-07")
def test_a_call_is_its_tenant_and_content():
    first = read_key("acme/calls/monday/test.wav", etag="e1")
    assert read_key("acme/calls/monday/test.wav", etag="e1", version="v9").call_id == first.call_id
    assert read_key("acme/calls/tuesday/test.wav", etag="e2").call_id != first.call_id  # two files of one name
    assert read_key("acme/calls/monday/test.wav", etag="e2").call_id != first.call_id  # a re-upload
    assert read_key("acme/calls/copy.wav", etag="e1").call_id == first.call_id  # the same file twice
    assert read_key("brand/calls/monday/test.wav", etag="e1").call_id != first.call_id


def test_a_call_id_holds_nothing_of_the_files_name():
    assert "4155550142" not in read_key("acme/calls/4155550142.wav", etag="e1").call_id


@given(st.text(max_size=60))
@pytest.mark.acceptance("call-store-04")
def test_no_key_leads_out_of_its_tenant(name):
    try:
        source = read_key(f"acme/calls/{name}", etag="e1")
    except CallFailed:
        return
    assert source.tenant == "acme"
    assert result_key(source.tenant, datetime(2026, 11, 21, tzinfo=UTC), source.call_id).startswith(
        "acme/2026/11/21/call-"
    )
    assert ".." not in source.key.split("/")

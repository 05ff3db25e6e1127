"""Which keys of objects name a customer's contact: a recording is found by nothing else."""

import pytest

from service.privacy.erasure.identity import CustomerIds
from service.privacy.erasure.places import Place

RECORDINGS = Place(found_by={"object_key": ("contact",)}, no_tenant="a test")


def _found(contact, key):
    ids = CustomerIds()
    ids.learn("contact", contact)
    return ids.owns(RECORDINGS, {"object_key": key})


@pytest.mark.parametrize(
    ("contact", "key"),
    [
        ("6f1c22aa-0a54-4d0f", "acme/calls/6f1c22aa-0a54-4d0f_20261122T10:00_UTC.wav"),
        ("crm_2026_0099", "acme/calls/crm_2026_0099.wav"),
        ("crm_2026_0099", "acme/calls/support/crm_2026_0099_20261122T10:00_UTC.wav"),
        ("desk.77/0099a", "acme/calls/desk.77/0099a.json"),
        ("c-77", "acme/calls/c-77.wav"),
        ("c-77", "acme/calls/c-77_20261122.wav"),
    ],
)
def test_a_recording_named_after_the_contact_is_found(contact, key):
    assert _found(contact, key)


@pytest.mark.parametrize(
    ("contact", "key"),
    [
        ("crm_2026_0099", "acme/calls/crm_2026_0099_b.wav"),  # somebody else's id that begins alike
        ("crm_2026_0099", "acme/calls/old_crm_2026_0099.wav"),
        ("6f1c22aa-0a54", "acme/calls/6f1c22aa-0a54-4d0f.wav"),
        ("11", "acme/calls/11/c-77.wav"),  # a folder of many customers
        ("77", "acme/calls/c-77.wav"),
    ],
)
def test_a_recording_of_somebody_else_is_not(contact, key):
    assert not _found(contact, key)

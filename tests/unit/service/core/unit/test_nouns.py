"""Channel, customer, tenant and message: what one enum accepts where, who is known by what, and whose key is whose."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from service.core.unit.channel import RECORDED, SPOKEN_ON, Channel, ConversationChannel, RecordedChannel
from service.core.unit.customer import Customer
from service.core.unit.message import Message
from service.core.unit.tenant import Tenant


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_says_what_it_can_carry(channel):
    assert channel.can.written is not channel.can.speech
    assert not (channel.can.speech and channel.can.markup)
    assert channel.can.most_chars is None or channel.can.most_chars > 0


def test_some_channels_bound_a_reply():
    assert (Channel.SOCIAL.can.reply_within, Channel.SMS.can.most_chars) == (timedelta(hours=24), 1_530)
    assert Channel.VOICE.can.speech
    assert Channel.EMAIL.can.markup


@pytest.mark.parametrize(
    ("form", "accepted"), [(RecordedChannel, RECORDED), (ConversationChannel, SPOKEN_ON)], ids=["recorded", "spoken on"]
)
def test_a_form_accepts_its_own_channels_as_texts_and_returns_members(form, accepted):
    adapter = TypeAdapter(form)
    for channel in Channel:
        if channel in accepted:
            assert adapter.validate_python(channel.value) is adapter.validate_json(f'"{channel}"') is channel
        else:
            with pytest.raises(ValidationError, match="Input should be"):
                adapter.validate_python(channel.value)
    assert adapter.json_schema() == {"enum": [str(each) for each in accepted], "type": "string"}


def test_a_customer_is_known_by_what_a_channel_has_verified():
    found = Customer.verified({"customer_phone": "077", "phone": "078", "language": "en", "account_number": "1234"})
    assert (found.of("phone"), found.of("account"), found.of("email")) == ("078", "1234", None)
    assert Customer.verified({"language": "en"}) == Customer()


@pytest.mark.parametrize(
    ("key", "owned"),
    [
        ("TENANT#acme", True),
        ("tenant:acme", True),
        ("local/assistant/tenant:acme/conv-1", True),
        ("acme/calls/1.json", True),
        ("tmp/acme/1.json", True),
        ("tenant:acme-too", False),
        ("local/assistant/client:acme/conv-1", False),
        ("acme-too/calls/1.json", False),
    ],
)
def test_a_tenant_owns_its_keys(key, owned):
    assert Tenant("acme").owns(key) is owned


def test_a_client_with_a_tenant_s_name_is_no_tenant():
    assert Tenant.of_owner("tenant:acme") == Tenant("acme")
    assert Tenant.of_owner("client:acme") is Tenant.of_owner("") is None
    assert Tenant.of_owner(Tenant("acme").owner) == Tenant("acme")


def test_an_id_is_its_author_s():
    said = {"id": "1", "conversation": "c", "channel": "sms", "at": datetime(2026, 11, 22, tzinfo=UTC), "text": "Hi"}
    customer, person = (Message(author=author, **said) for author in ("customer", "person"))
    assert customer.key != person.key
    assert (customer.direction, person.direction) == ("inbound", "outbound")
    assert Message.model_validate_json(customer.model_dump_json()) == customer

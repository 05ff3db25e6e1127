"""Finds the recording of a message, which Amazon Connect keeps in the bucket of its instance."""

from typing import Any

from service.channels.phone.voicemail import Voicemail
from service.kit.aws.bounded import translated


def recordings_of(voicemail: Voicemail, connect: Any) -> list[str]:
    """Return where the recordings of a message's contact lie in S3; none until some minutes after the call. Blocking.

    ``connect`` is boto3's client.

    Raises:
        StoreError: Amazon Connect does not answer, or knows no such contact.
    """
    with translated("Amazon Connect"):
        found = connect.describe_contact(InstanceId=voicemail.instance_id, ContactId=voicemail.contact_id)
    recordings = found["Contact"].get("Recordings", [])
    return [one["Location"] for one in recordings if one.get("Status") != "DELETED" and one.get("Location")]

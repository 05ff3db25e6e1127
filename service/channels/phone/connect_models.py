"""What a flow of Amazon Connect sends to a function.

Source: Amazon Connect Administrator Guide, "Grant Amazon Connect access to your AWS Lambda functions" (read 2026-11-22). The
format may gain fields without notice, so unknown ones are left out.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal


class _Connect(BaseModel):
    # A fault is logged by Lambda, and must not show the caller's number.
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_pascal, populate_by_name=True, hide_input_in_errors=True
    )


class CallerEndpoint(_Connect):
    """Where the call comes from."""

    address: str = Field(repr=False)


class ContactData(_Connect):
    """The contact whose flow asks."""

    contact_id: str = Field(min_length=1)
    instance_arn: str = Field(alias="InstanceARN", pattern=r":instance/[\w-]+$")
    customer_endpoint: CallerEndpoint | None = None
    attributes: Mapping[str, str] = {}

    @property
    def instance_id(self) -> str:
        """The id at the end of the instance's ARN."""
        return self.instance_arn.rpartition("/")[2]


class AskedOfUs(BaseModel):
    """What the flow's own parameters say."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    does: Literal["place_in_queue", "voicemail"]


class InvocationDetails(_Connect):
    """The contact and the parameters."""

    contact_data: ContactData
    parameters: AskedOfUs


class ContactFlowEvent(_Connect):
    """One invocation by a flow."""

    details: InvocationDetails

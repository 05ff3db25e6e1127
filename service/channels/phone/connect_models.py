"""What a flow of Amazon Connect sends to a function.

Source: Amazon Connect Administrator Guide, "Grant Amazon Connect access to your AWS Lambda functions" (read 2026-11-22). The
format may gain fields without notice, so unknown ones are left out.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field

Does = Literal["place_in_queue", "voicemail"]


def _at(*path: str) -> AliasPath:
    return AliasPath("Details", *path)


class ContactFlowEvent(BaseModel):
    """One invocation by a flow: its contact, and what its own parameters ask for."""

    # A fault is logged by Lambda, and must not show the caller's number.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    does: Does = Field(validation_alias=_at("Parameters", "does"))
    contact_id: str = Field(min_length=1, validation_alias=_at("ContactData", "ContactId"))
    instance_arn: str = Field(pattern=r":instance/[\w-]+$", validation_alias=_at("ContactData", "InstanceARN"))
    phone: str = Field(default="", repr=False, validation_alias=_at("ContactData", "CustomerEndpoint", "Address"))
    attributes: Mapping[str, str] = Field(default={}, validation_alias=_at("ContactData", "Attributes"))

    @property
    def instance_id(self) -> str:
        """The id at the end of the instance's ARN."""
        return self.instance_arn.rpartition("/")[2]

"""What an integrator writes with the generated Python client; prints what came back as JSON. Arguments: see the test."""

import json
import sys

from omni_insights_client import AuthenticatedClient
from omni_insights_client.api.conversations import read_assistant, say_assistant, start_assistant
from omni_insights_client.api.feedback import feedback
from omni_insights_client.api.insights import omni_channel_insights
from omni_insights_client.models import (
    ConversationStart,
    CustomerMessage,
    FeedbackByRequest,
    FeedbackByRequestFeedback,
    InsightsRequest,
    Problem,
)

summaries, assistant, token = sys.argv[1:]
client = AuthenticatedClient(base_url=summaries, token=token, raise_on_unexpected_status=True)
told = {}
with client:
    summary = omni_channel_insights.sync(
        client=client, body=InsightsRequest(account_number="1234567890", contact_id="abc-123-xyz")
    )
    told["summary"], told["interactions"] = summary.summary, summary.interactions_considered
    rating = FeedbackByRequest(
        request_id=summary.request_id,
        feedback=FeedbackByRequestFeedback.NOT_HELPFUL,
        comment="The refund is missing.",
        edited_summary="A refund was promised.",
    )
    told["feedback"] = feedback.sync(client=client, body=rating).feedback
    refused = omni_channel_insights.sync(
        client=client, body=InsightsRequest(account_number="123", contact_id="abc-123-xyz")
    )
    assert isinstance(refused, Problem)
    told["invalid"] = [refused.status, refused.code, refused.errors[0].field]
with AuthenticatedClient(base_url=summaries, token="expired") as stranger:
    body = InsightsRequest(account_number="1234567890", contact_id="abc-123-xyz")
    told["expired"] = omni_channel_insights.sync(client=stranger, body=body).code
with AuthenticatedClient(base_url=assistant, token=token) as bank:
    started = start_assistant.sync(client=bank, body=ConversationStart())
    message = CustomerMessage(message="Which accounts do you offer?", message_id="m-1")
    turn = say_assistant.sync(started.conversation_id, client=bank, body=message)
    told["state"], told["reply"] = turn.state, turn.reply
    told["said"] = [each.by for each in read_assistant.sync(started.conversation_id, client=bank).said]
    told["missing"] = read_assistant.sync("conv-" + "0" * 24, client=bank).code
print(json.dumps(told))

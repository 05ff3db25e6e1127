"""Conversations with the parcel service are harvested from the turns that the service keeps."""

from service.core.tasks.parcels import TASK

from eval.harvest.kept import ConversationSource

SOURCE = ConversationSource(TASK.input_model)

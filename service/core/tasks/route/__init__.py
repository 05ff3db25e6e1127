"""The task ``route``: where a customer's message goes, by a policy that is evaluated and released like a prompt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel

from service.core.llm.model_call import InProcessModels
from service.core.run.task import Task
from service.core.tasks.route.decision import RouteDecision
from service.core.tasks.route.policy import OWN_POLICY, RoutingPolicy, policy_of
from service.core.tasks.route.routing import decided
from service.core.tasks.route.situation import RouteInputs
from service.core.tasks.route.urgency import masked
from service.core.unit.pair import Artifact, Pair
from service.kit.frame.canonical import canonical_json

MODEL_ID = "local.routing-policy-v1"


@dataclass(frozen=True, slots=True)
class PolicyAndSituation:
    """What the in-process model decides by."""

    situation: RouteInputs
    policy: RoutingPolicy


def _answer(document: object) -> str:
    assert isinstance(document, PolicyAndSituation)
    return decided(document.situation, document.policy).model_dump_json()


class RouteMessage(Task[RouteInputs]):
    """Routing by a policy file, which is what a pair of this task consists of; no model is asked, and nothing falls back."""

    name: ClassVar[str] = "route"
    input_model: ClassVar[type[BaseModel]] = RouteInputs
    output_model: ClassVar[type[BaseModel] | None] = RouteDecision
    variables: ClassVar[frozenset[str]] = frozenset({"situation"})
    in_process: ClassVar[InProcessModels] = {MODEL_ID: _answer}
    artifact_names: ClassVar[frozenset[str]] = frozenset({OWN_POLICY.name})
    built_in: ClassVar[Sequence[Artifact]] = (OWN_POLICY,)

    def values(self, inputs: RouteInputs) -> Mapping[str, str]:
        """See ``Task.values``."""
        return {"situation": canonical_json(inputs.model_dump(mode="json"))}

    def document_for(self, inputs: RouteInputs, pair: Pair) -> object:
        """See ``Task.document_for``."""
        return PolicyAndSituation(inputs, policy_of(pair))

    def unit(self, inputs: RouteInputs) -> str:
        """Return tenant and conversation: a conversation keeps its policy."""
        return f"{inputs.tenant}/{inputs.conversation_id}"

    def tenant(self, inputs: RouteInputs) -> str:
        """Return the tenant whose customer wrote."""
        return inputs.tenant

    def without_ids(self, inputs: RouteInputs, pseudonym: Callable[[str], str]) -> RouteInputs:
        """See ``Task.without_ids``; of what the customer wrote only the words stay that the task's own policy looks for."""
        message = inputs.message
        text = masked(message.text, (message.language, "en"), policy_of())
        return inputs.model_copy(
            update={
                "conversation_id": pseudonym(inputs.conversation_id),
                "message": message.model_copy(update={"text": text}),
            }
        )


TASK = RouteMessage()

"""Inputs of past requests as the service keeps them with its answers: the source of any task that keeps its answers."""

import json
from datetime import datetime
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from eval.casecheck.case import full_numbers
from eval.dialogue.scenario import ConversationScenario, CustomerScript, DialogueExpectations, GoldReply, KnownFact
from eval.harvest.case_source import CaseSource, Origin
from eval.spine.case_rules import CaseRules, string_passages
from eval.spine.cases import Case, Expectations
from eval.spine.errors import HarvestError, InputsUnfit
from service.core.run.dialogue.turn import DialogueInputs
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings


class KeptInputs:
    """Reads the inputs from the objects that hold the answers in the archive bucket."""

    def __init__(self, s3: Any, bucket: str, input_model: type[BaseModel]) -> None:
        self._s3, self._bucket, self._input_model = s3, bucket, input_model

    def inputs(self, source_key: str, generated_at: datetime) -> BaseModel | None:
        """See ``Origin.inputs``; None also if the answer was kept without its inputs."""
        record = json_object(self._s3, self._bucket, source_key)
        kept = None if record is None else record.get("inputs")
        if kept is None:
            return None
        try:
            return self._input_model.model_validate(kept)
        except ValidationError as err:
            fields = dict.fromkeys(
                str(one["loc"][0]) if one["loc"] else "the whole" for one in err.errors(include_url=False)
            )
            raise InputsUnfit(f"inputs do not fit the task ({', '.join(fields)})") from None


class KeptSource(CaseSource[BaseModel]):
    """The source of a task whose answers are kept: a case is one answered request, a correction becomes a reference.

    The service has replaced the ids (``Task.without_ids``) and redacted the texts of kept inputs before it wrote them.
    """

    def __init__(self, input_model: type[BaseModel]) -> None:
        self._input_model = input_model

    def origin(self, settings: Settings) -> Origin[BaseModel]:
        """See ``CaseSource.origin``."""
        from service.kit.aws.clients import client

        return KeptInputs(client("s3", settings), settings.stores.archive_bucket, self._input_model)

    def without_persons(self, inputs: BaseModel, key: bytes) -> BaseModel:
        """Return the inputs as they were kept; refuse them if a full number is left."""
        left = [number for passage in string_passages(inputs) for number in full_numbers(passage.text)]
        if left:
            raise HarvestError(f"{len(left)} full numbers are left in the kept inputs; this candidate is not proposed")
        return inputs


def json_object(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """Return the JSON object ``key`` of ``bucket``, None if there is none; ``StoreError`` if S3 does not answer."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as err:
        if err.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            return None
        raise StoreError(f"bucket {bucket!r} refuses the request: {type(err).__name__}") from err
    except BotoCoreError as err:
        raise StoreError(f"bucket {bucket!r} cannot be reached: {type(err).__name__}") from err
    found: dict[str, Any] = json.loads(body)
    return found


TO_WRITE = "TO BE WRITTEN"
_PATIENCE = 8


class ConversationSource(KeptSource):
    """The source of a task that converses: the customer's words are taken over, world and expectations a person writes."""

    drafts_inputs: ClassVar[bool] = True
    hint: ClassVar[str] = (
        "# A customer with what they say, the world at the start, and what must come of the conversation.\n"
        f"# Replace every {TO_WRITE!r}. inputs.world holds the records that the tools need; asked_by in knows says which\n"
        "# question a fact answers. expectations.gold is a run that is right, one list of steps per turn: checking the cases\n"
        "# proves it. Checked when you save and close; an empty file changes nothing.\n"
    )

    def case_inputs(self, inputs: BaseModel) -> ConversationScenario:
        """Return a draft of the scenario: the customer opens as they did, and knows what they said later."""
        assert isinstance(inputs, DialogueInputs)
        opening, *later = inputs.said
        script = CustomerScript(
            goal=TO_WRITE,
            opens=(opening,),
            knows={f"message_{number}": KnownFact(says=(text,)) for number, text in enumerate(later, start=2)},
            patience=min(max(_PATIENCE, len(later) + 2), 20),
        )
        return ConversationScenario(world={}, customer=script, session=inputs.session)

    def expectations(self, correction: str | None, inputs: BaseModel, rules: CaseRules) -> Expectations:
        """Return a draft whose gold run says what was said, and last the correction."""
        assert isinstance(inputs, DialogueInputs)
        said = [turn.text or TO_WRITE for turn in inputs.history if turn.by == "assistant"]
        gold = tuple((GoldReply(say=text),) for text in (*said, correction or TO_WRITE))
        return rules.expectations.model_validate({"gold": [[step.model_dump() for step in turn] for turn in gold]})

    def missing(self, case: Case) -> list[str]:
        """Demand what only a person can write: the goal, and what must come of the conversation."""
        problems = []
        if TO_WRITE in case.model_dump_json():
            problems.append(f"still says {TO_WRITE!r}: write the goal and the gold run yourself (e)")
        expected = case.expectations
        assert isinstance(expected, DialogueExpectations)
        if not (expected.told or expected.end_states or expected.calls or expected.handover or expected.claims):
            problems.append(
                "expects nothing of the conversation: write told, calls, end_states, handover or claims, or any reply passes"
            )
        return problems

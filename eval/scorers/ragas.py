"""Ragas' metrics, for those who compare with other teams: overlap scores, and LLM scores through our own gateway.

An optional family (extra ``ragas``, ``omni eval --with ragas``). Ragas' prompts put the texts in without a border, so its LLM
scores can be steered by what a customer wrote; they are shown and never gate.
"""

import asyncio
import importlib.util
import json
import math
import os
from collections.abc import Sequence
from typing import Any

from eval.spine.results import Score
from eval.spine.scorer import ScorerContext, unscored
from service.core.llm.model_call import Gateway, ModelCall
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.frame.errors import ConfigurationError, ModelError

_MAX_OUTPUT_TOKENS = 3_000  # the statements of one summary, each with a verdict and its reason


def require_ragas() -> None:
    """Check that ragas is there and keep it from calling home.

    Raises:
        ConfigurationError: it is not installed.
    """
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    if importlib.util.find_spec("ragas") is None:
        raise ConfigurationError(
            "ragas is not installed here: it needs older libraries than the project and has an environment of its own. "
            "tools/setup.sh ragas makes .venv-ragas; then .venv-ragas/bin/omni eval --with ragas "
            "(elsewhere: pip install 'omni-insights[ragas]')"
        )


class RagasTextScorer:
    """Scores ``ragas_bleu``, ``ragas_chrf``, ``ragas_rouge_l`` and ``ragas_similarity`` (0 to 1); the best reference counts.

    They need no model. Unscored without references.
    """

    name = "ragas text"
    scores = ("ragas_bleu", "ragas_chrf", "ragas_rouge_l", "ragas_similarity")
    needs_labels = True

    def __init__(self) -> None:
        require_ragas()
        self._metrics: dict[str, Any] | None = None

    def score(self, context: ScorerContext) -> dict[str, Score]:
        """Return the four scores of the output against the case's references."""
        references = context.case.expectations.references
        if not references:
            return unscored(self.scores, "the case has no references")
        if self._metrics is None:
            self._metrics = _text_metrics()
        best = {
            name: max(float(metric.score(reference=text, response=context.output).value) for text in references)
            for name, metric in self._metrics.items()
        }
        return {name: Score(value=value) for name, value in best.items()}


def _text_metrics() -> dict[str, Any]:
    from ragas.metrics.collections import BleuScore, CHRFScore, NonLLMStringSimilarity, RougeScore

    return {
        "ragas_bleu": BleuScore(),
        "ragas_chrf": CHRFScore(),
        "ragas_rouge_l": RougeScore(),
        "ragas_similarity": NonLLMStringSimilarity(),
    }


class RagasJudge:
    """Ragas' LLM metrics with ``model`` as its LLM; asked in the main process, as judges are."""

    def __init__(self, gateway: Gateway, model: str, *, timeout_s: float = 180.0) -> None:
        """Prepare the metrics.

        Args:
            gateway: the one door to models; wrap it to cache.
            model: id of a card; never the model under test.
            timeout_s: per call; one score takes two to four calls.

        Raises:
            ConfigurationError: ragas is not installed.
        """
        require_ragas()
        from ragas.metrics.collections import (
            ContextPrecisionWithoutReference,
            ContextPrecisionWithReference,
            FactualCorrectness,
            Faithfulness,
        )

        llm = _gateway_llm(gateway, model, timeout_s)
        self._faithfulness, self._correctness = Faithfulness(llm=llm), FactualCorrectness(llm=llm)
        self._precision = ContextPrecisionWithReference(llm=llm)
        self._precision_of_answer = ContextPrecisionWithoutReference(llm=llm)

    async def faithfulness(self, *, question: str, output: str, source: str) -> Score:
        """Return the share of the output's statements that follow from ``source``, 0 to 1."""
        asked = self._faithfulness.ascore(user_input=question, response=output, retrieved_contexts=[source])
        return await _score(asked, "no statement was found in the output")

    async def factual_correctness(self, *, output: str, reference: str) -> Score:
        """Return the F1 of the output's claims against those of ``reference``, 0 to 1."""
        asked = self._correctness.ascore(response=output, reference=reference)
        return await _score(asked, "no claim was found")

    async def context_precision(
        self, *, question: str, output: str, contexts: Sequence[str], reference: str | None
    ) -> Score:
        """Return ragas' average precision of ``contexts`` in their order: do the useful ones come first? 0 to 1.

        A context is useful for the reference or, without one, for the output; one call per context.
        """
        if not contexts:
            return Score(value=None, unscored="there is no context")
        if reference is None:
            asked = self._precision_of_answer.ascore(
                user_input=question, response=output, retrieved_contexts=list(contexts)
            )
        else:
            asked = self._precision.ascore(user_input=question, reference=reference, retrieved_contexts=list(contexts))
        return await _score(asked, "no context was judged")


async def _score(asked: Any, empty: str) -> Score:
    try:
        value = float((await asked).value)
    except ModelError as err:
        return Score(value=None, unscored=f"the judge did not answer: {err.code.value}")
    except ValueError as err:  # also pydantic's: an answer that does not follow the form
        return Score(value=None, unscored=f"ragas could not score: {str(err).splitlines()[0]}")
    return Score(value=None, unscored=empty) if math.isnan(value) else Score(value=value)


def _gateway_llm(gateway: Gateway, model: str, timeout_s: float) -> Any:
    from ragas.llms.base import InstructorBaseRagasLLM

    class GatewayLLM(InstructorBaseRagasLLM):  # type: ignore[misc]  # ragas is optional and not seen by mypy
        """Ragas' port, answered by our gateway with structured output."""

        def generate(self, prompt: str, response_model: Any) -> Any:
            return asyncio.run(self.agenerate(prompt, response_model))

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            call = ModelCall(
                model=model,
                messages=(
                    PromptMessage(
                        role="system", content="Fill in the form that is asked for, with JSON and nothing else."
                    ),
                    PromptMessage(role="user", content=prompt),
                ),
                sampling=Sampling(max_output_tokens=_MAX_OUTPUT_TOKENS),
                timeout_s=timeout_s,
                answer_schema=response_model.model_json_schema(),
            )
            reply = await gateway.complete(call)
            if reply.stop_reason == "max_tokens":
                raise ValueError("the judge's answer was cut off")
            return response_model.model_validate(json.loads(reply.text))

    return GatewayLLM()

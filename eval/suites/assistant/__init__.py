"""The suite of ``assistant``: what comes of whole conversations with a bank's customers."""

from eval.dialogue.measures import CONVERSATION_METRICS, CONVERSATION_POOLS, CONVERSATION_TABLE
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.scorers import DialogueScorer
from eval.suite import Floor, NoWorse, Suite
from eval.suites.assistant.case_rules import CASE_RULES as CASE_RULES
from eval.suites.assistant.judged_kinds import JUDGED_KINDS
from eval.suites.assistant.world import IGNORED, world
from service.tasks.assistant.tools import SPECS

SUITE = Suite(
    task="assistant",
    gate_dataset="dev",
    scorers=(DialogueScorer(),),
    metrics=CONVERSATION_METRICS,
    pools=CONVERSATION_POOLS,
    floors=(
        Floor(
            metric="conversation_right",
            bound=0.60,
            reason="every other customer must get what they came for, or a person who knows the story",
        ),
    ),
    no_worse=(
        NoWorse(metric="conversation_right", margin=0.15, reason="as small as the present conversations can show"),
    ),
    judged_only=JUDGED_KINDS,
    max_unscored_rate=0.02,
    minimum_latency_calls=20,
    slices=("kind",),
    table=CONVERSATION_TABLE,
    least_repeats=4,
    episode=DialogueEpisode(world=world, specs=SPECS, ignored=IGNORED),
)

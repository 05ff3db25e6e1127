"""How the parcel service is judged: by what comes of whole conversations."""

from service.core.tasks.parcels import SPECS, WORKS

from eval.dialogue.measures import CONVERSATION_METRICS, CONVERSATION_POOLS, CONVERSATION_TABLE
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.scenario import DialogueExpectations
from eval.dialogue.scorers import DialogueScorer
from eval.dialogue.world import RecordsWorld
from eval.spine.case_rules import CaseRules
from eval.spine.suite import Floor, NoWorse, SliceFloor, Suite


def world(scenario):
    return RecordsWorld(scenario.world, SPECS, WORKS)


EPISODE = DialogueEpisode(world=world, specs=SPECS)
CASE_RULES = CaseRules(expectations=DialogueExpectations)
SUITE = Suite(
    task="parcels",
    gate_dataset="dev",
    scorers=(DialogueScorer(),),
    metrics=CONVERSATION_METRICS,
    pools=CONVERSATION_POOLS,
    floors=(
        Floor(metric="conversation_right", bound=0.8, reason="four of five customers get what they came for"),
        Floor(metric="not_permitted_proposed", bound=0.1, reason="as small as 48 conversations can show"),
        Floor(metric="not_permitted_done", bound=0.1, reason="as small as 48 conversations can show"),
    ),
    no_worse=(NoWorse(metric="conversation_right", margin=0.15, reason="as small as 48 conversations can show"),),
    slice_floors=(
        SliceFloor(
            slice="kind", value="person", metric="conversation_right", bound=0.6, min_n=10, reason="people are reached"
        ),
        SliceFloor(slice="kind", value="tracking", metric="pass_4", bound=0.5, min_n=10, reason="the plainest wish"),
    ),
    slices=("kind",),
    judged_only=(),  # every conversation of a parcel service ends in records and calls that code compares
    max_unscored_rate=0.02,
    minimum_latency_calls=1,
    table=CONVERSATION_TABLE,
    least_repeats=4,
    episode=EPISODE,
)

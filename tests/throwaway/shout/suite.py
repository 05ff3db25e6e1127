"""How shouting is judged: by being loud."""

from eval.spine.results import Score
from eval.spine.suite import Floor, MetricSpec, NoWorse, Suite
from figures.metric import Unit


class Loud:
    name = "loud"
    scores = ("loud",)

    def score(self, context):
        return {"loud": Score(value=float(context.output.isupper()))}


SUITE = Suite(
    task="shout",
    gate_dataset="dev",
    scorers=(Loud(),),
    metrics=(
        MetricSpec(name="loud", kind="rate", score="loud", unit=Unit.RATE),
        MetricSpec(name="answered", kind="answered", unit=Unit.RATE),
    ),
    floors=(Floor(metric="loud", bound=0.8, reason="a shout is loud"),),
    no_worse=(NoWorse(metric="loud", margin=0.1, reason="as small as 40 cases can show"),),
    judged_only=(),  # the scorer sees every letter, and a shout has no more to it
    max_unscored_rate=0.1,
    minimum_latency_calls=1,
    table=("loud", "answered"),
)

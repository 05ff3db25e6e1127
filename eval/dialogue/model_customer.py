"""A model that plays the customer of a script. What it says differs from run to run, so its conversations are no evidence."""

from dataclasses import dataclass, field

from eval.dialogue.customer import Over
from eval.dialogue.scenario import CONFIRMATION, CustomerScript
from eval.spine.episode import Ask
from service.core.llm.model_call import ModelCall
from service.core.run.dialogue.turn import MOST_CHARS, DialogueReply
from service.core.unit.pair import OutputRules, Pair, PromptMessage, Sampling, ServingPolicy
from service.kit.frame.errors import ModelError

END = "[END]"
_TIMEOUT_S = 60.0
_SYSTEM = f"""\
You play a customer who writes to a company's assistant. Stay in this role: you are the customer, and never the assistant.
<script> and </script> enclose what you want and what you know. Say only what stands there, a fact only when you are asked for it.
<said> and </said> enclose the conversation so far. Write your next message, one or two sentences and nothing else.
When you have what you came for, or a person takes over, write {END} alone."""
_ASKED = "<script>\n{{script}}\n</script>\n<said>\n{{said}}\n</said>"


def customer_pair(model: str) -> Pair:
    """Return the prompt that ``model`` plays customers with, as a pair that is never released."""
    return Pair(
        name="customer",
        task="customer",
        version="1.0.0",
        model=model,
        backup=None,
        sampling=Sampling(max_output_tokens=120, temperature=0.7),
        output=OutputRules(schema="customer-v1", max_words=120),
        serving=ServingPolicy(),
        messages=(PromptMessage(role="system", content=_SYSTEM), PromptMessage(role="user", content=_ASKED)),
        variables=("script", "said"),
    )


@dataclass(slots=True)
class ModelCustomer:
    """See ``Counterpart``. Opening and interruption are the script's own; a call that fails ends it unscored."""

    script: CustomerScript
    pair: Pair
    ask: Ask
    unscored: str = ""
    confirms: bool = False
    reopens: bool = False  # nobody can tell
    _said: list[str] = field(default_factory=list)
    _sent: int = 0

    async def next(self, reply: DialogueReply | None) -> str | Over:
        """See ``Counterpart.next``."""
        if reply is None:
            self._sent, self._said = 1, [f"Customer: {self.script.opens[0]}"]
            return self.script.opens[0]
        self._said.append(f"Assistant: {reply.reply}")
        if reply.action in ("handover", "close"):
            return Over("handover" if reply.action == "handover" else "closed")
        if self._sent >= self.script.patience:
            return Over("patience")
        interrupts = self.script.interrupts
        if interrupts is not None and self._sent + 1 == interrupts.at:  # a model would not count its messages
            self._sent, self.confirms = self._sent + 1, False
            self._said.append(f"Customer: {interrupts.says[0]}")
            return interrupts.says[0]
        values = {"script": _told(self.script), "said": "\n".join(self._said)}
        call = ModelCall(
            model=self.pair.model,
            messages=self.pair.render(values),
            sampling=self.pair.sampling,
            timeout_s=_TIMEOUT_S,
            document=values,
        )
        try:
            text = (await self.ask(call)).text.strip().removeprefix("Customer:").strip()
        except ModelError as err:
            self.unscored = f"the model that plays the customer failed: {err.code.value}"
            return Over("not understood")
        if not text or END in text:
            return Over("answered")
        self._sent += 1
        # A yes after a question for a confirmation counts as one; nobody can be sure of it.
        self.confirms = CONFIRMATION in reply.asks and text.lower().startswith("yes")
        self._said.append(f"Customer: {text}")
        return text[:MOST_CHARS]


def _told(script: CustomerScript) -> str:
    lines = [f"What you want: {script.goal}."]
    lines += [f"You know: {fact.says[0]} (asked for: {name})" for name, fact in script.knows.items()]
    if script.refuses:
        lines.append("When you are asked to confirm, say no.")
    if script.corrects is not None:
        lines.append(f"After you have told {script.corrects.fact}, take it back: {script.corrects.says[0]}")
    if script.then:
        lines.append(f"Once that is answered, ask also: {script.then[0]}")
    return "\n".join(lines)

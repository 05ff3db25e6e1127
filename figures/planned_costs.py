"""What the project plan expects a summary to cost (R-COST), to be printed beside what was metered."""

PLANNED_TASK = "summarize"  # the plan knows no other
# USD per answer by model id; its own token prices give far less (docs/decisions).
STATED_COST_USD: dict[str, tuple[str, str]] = {
    "amazon.nova-lite-v1:0": ("0.008", "0.012"),
    "amazon.nova-micro-v1:0": ("0.004", "0.008"),
    "anthropic.claude-3-5-haiku-20241022-v1:0": ("0.025", "0.035"),
    "anthropic.claude-3-haiku-20240307-v1:0": ("0.020", "0.030"),
    "us.meta.llama3-2-3b-instruct-v1:0": ("0.005", "0.010"),
    "mistral.mistral-7b-instruct-v0:2": ("0.008", "0.015"),
}
# The names that answers carry (prompts/models.yaml).
_SHORT_NAMES = {
    "nova-lite": "amazon.nova-lite-v1:0",
    "nova-micro": "amazon.nova-micro-v1:0",
    "claude-3-5-haiku": "anthropic.claude-3-5-haiku-20241022-v1:0",
    "claude-3-haiku": "anthropic.claude-3-haiku-20240307-v1:0",
    "llama-3-2-3b": "us.meta.llama3-2-3b-instruct-v1:0",
    "mistral-7b": "mistral.mistral-7b-instruct-v0:2",
}


def stated_cost(model: str) -> tuple[str, str] | None:
    """Return the lowest and highest USD per summary planned for a model's id or short name; None without one."""
    return STATED_COST_USD.get(_SHORT_NAMES.get(model, model))

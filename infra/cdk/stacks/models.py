"""Which Bedrock models a role may call: those that a card of ``prompts/models.yaml`` names, and no other."""

from pathlib import Path

import yaml

_CARDS = Path(__file__).resolve().parents[3] / "prompts" / "models.yaml"
# Cross-region inference profiles begin with where they send a call.
_PROFILES = ("us.", "eu.", "apac.", "global.")


def carded_models() -> tuple[str, ...]:
    """Return the ids of the cards whose model a provider runs."""
    cards = yaml.safe_load(_CARDS.read_text(encoding="utf-8"))["models"]
    # Models of other providers are called with the providers' own prefix and need no right in AWS.
    return tuple(card["id"] for card in cards if card.get("runs") == "provider" and "/" not in card["id"])


def model_arns(partition: str, region: str, account: str) -> list[str]:
    """Return the resources for bedrock:InvokeModel; a profile also needs its model in the regions that it sends calls to."""
    arns = []
    for model in carded_models():
        profile = next((prefix for prefix in _PROFILES if model.startswith(prefix)), None)
        if profile is None:
            arns.append(f"arn:{partition}:bedrock:{region}::foundation-model/{model}")
        else:
            arns.append(f"arn:{partition}:bedrock:{region}:{account}:inference-profile/{model}")
            arns.append(f"arn:{partition}:bedrock:*::foundation-model/{model.removeprefix(profile)}")
    return arns

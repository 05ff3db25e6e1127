"""Keeps simulated weeks apart: they release pairs and invent customers, so state, registry and ports are their own."""

from collections.abc import MutableMapping


def use_simulated_store(environment: MutableMapping[str, str]) -> None:
    """Point the settings' variables there; one that is set already stays."""
    from service.settings import REPO_ROOT

    state = environment.setdefault("OMNI_STATE_DIR", str(REPO_ROOT / ".omni" / "traffic"))
    environment.setdefault("OMNI_REGISTRY_URI", f"sqlite:///{state}/mlflow.db")
    environment.setdefault("OMNI_LOCAL_AWS_PORT", "4577")
    environment.setdefault("OMNI_LOCAL_BEDROCK_PORT", "4578")

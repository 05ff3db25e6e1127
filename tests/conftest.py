"""What every test run needs before anything is imported."""

import os

# The bundled cost map: without this litellm asks the network for a newer one at import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

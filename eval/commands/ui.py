"""``ui``: open MLflow on the store that evaluations write to."""

import os
import sys
from typing import Annotated

import typer


def ui(port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1.")] = 5000) -> None:
    """Open MLflow on the local store, http://127.0.0.1:5000; stop it with Ctrl-C."""
    from service.errors import ConfigurationError
    from service.settings import Settings

    uri = Settings().registry.uri
    if not uri.startswith("sqlite:///"):
        raise ConfigurationError(
            f"the registry is {uri}: open that address in a browser; this command is for local stores"
        )
    folder = os.path.dirname(uri.removeprefix("sqlite:///"))  # noqa: PTH120 - text in, text out
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    line = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--default-artifact-root"]
    line += [os.path.join(folder, "artifacts"), "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]  # noqa: PTH118
    os.execve(line[0], line, {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})  # noqa: S606

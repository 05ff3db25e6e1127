"""MLflow's pages on a local store: the verdict is a column, and evidence and releases can be looked at but not changed."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from eval.tracking.store import TAG_VERDICT
from figures.command_line import omni
from service.kit.frame.display.terminal import say

_VIEW = "omni"
_VERDICT, _HEADLINE, _DATASET = f"tags.`{TAG_VERDICT}`", "tags.`omni.headline`", "attributes.`Dataset`"
_VIEW_STATE = {
    "selectedColumns": [_VERDICT, _HEADLINE, _DATASET],
    # MLflow's table takes the place of a column from this list, and shows the tags last without it.
    "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", _VERDICT, _HEADLINE, _DATASET, "duration"],
    "columnWidths": {_HEADLINE: 280},
}
_WRITES_TAGS = ("set-tag", "log-batch", "create", "update")
_READS = ("get-latest-versions",)  # MLflow asks for these by POST


def serve(uri: str, port: int) -> None:
    """Serve the sqlite store ``uri`` on 127.0.0.1 until Ctrl-C."""
    import uvicorn

    folder = Path(uri.removeprefix("sqlite:///")).parent
    folder.mkdir(parents=True, exist_ok=True)
    app = _pages(uri, str(folder / "artifacts"))
    for name, link in _experiments(port):
        say(f"{name}: {link}")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def _pages(uri: str, artifacts: str) -> Any:
    # As `mlflow server` tells its workers; read while mlflow.server is imported.
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": artifacts,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    from mlflow.server import app, handlers
    from mlflow.server.fastapi_app import app as pages

    handlers.initialize_backend_stores(uri, uri, artifacts)
    app.before_request(_refusal)
    return pages


def _refusal() -> tuple[dict[str, str], int] | None:
    """Answer a request that would delete evidence or change a release; None lets MLflow answer."""
    from flask import request

    what, _, doing = str(request.url_rule).partition("/mlflow/")[2].partition("/")
    if what in ("registered-models", "model-versions") and request.method != "GET" and doing not in _READS:
        said = f"releases are changed by `{omni('promote')}` and `{omni('rollback')}` alone, which verify and sign"
    elif doing.startswith("delete") or request.method == "DELETE" or what == "upload-artifact":
        said = "what releases rest on is neither deleted nor replaced here"
    elif what == "runs" and doing in _WRITES_TAGS and "omni." in _said(request.get_json(force=True, silent=True)):
        said = "tags of an evaluation are written by the evaluation alone"
    else:
        return None
    return {"error_code": "PERMISSION_DENIED", "message": said}, 403


def _said(told: object) -> str:
    """Return what a request tells without its escapes; MLflow also reads JSON that was encoded twice."""
    try:
        return json.dumps(json.loads(told) if isinstance(told, str) else told)
    except ValueError:
        return ""


def _experiments(port: int) -> list[tuple[str, str]]:
    """Keep a view with the verdict in every task's experiment; return their names and the addresses of the views."""
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["_MLFLOW_SERVER_FILE_STORE"])
    found = []
    for one in client.search_experiments(filter_string="name LIKE 'omni/%'"):
        client.set_experiment_tag(one.experiment_id, f"mlflow.sharedViewState.{_VIEW}", json.dumps(_VIEW_STATE))
        address = f"http://127.0.0.1:{port}/#/experiments/{one.experiment_id}/runs?viewStateShareKey={_VIEW}"
        found.append((one.name, address))
    return found


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))

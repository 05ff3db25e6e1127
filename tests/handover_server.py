"""A process that serves the bank's assistant with conversations, handovers and callbacks in tables: for tests of two of them.

``python tests/handover_server.py PORT AWS_ENDPOINT FOLDER TABLE``; FOLDER holds the clients, TABLE the handovers.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from assistant_service import assistant_runtime
from builders import runtime_of

from service.access.control import open_access
from service.app import create_app
from service.conversations.store import conversations_in_tables
from service.desk.build import callback_book, open_handovers
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.settings import Settings
from service.kit.telemetry.log import configure_logging


def serve(port, endpoint, folder, handovers):
    here = Settings(state_dir=Path(folder), access_dir=Path(folder) / "access", store_timeout_s=10.0)
    settings = here.model_copy(update={"aws_endpoint": endpoint, "handovers_table": handovers})
    configure_logging("WARNING")
    queries = DynamoQueries.beside(client("dynamodb", settings), settings)
    table = conversations_in_tables(queries, settings, scope="test", kept_s=3600, timeout_s=10)

    def now():
        return datetime.now(UTC)

    def build(**changes):
        return runtime_of(
            settings=settings, interactions=None, disconnect=queries.aclose, clock=time.monotonic, **changes
        )

    runtime = assistant_runtime(
        build,
        pytest.MonkeyPatch(),
        book=callback_book(settings, now),
        conversations=table,
        handovers=open_handovers(settings, now),
        access=open_access(here),
    )
    uvicorn.run(create_app(runtime=runtime), host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])

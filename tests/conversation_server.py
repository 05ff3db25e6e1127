"""A process that serves conversations from a table: for tests that kill it, and for measuring.

``python tests/conversation_server.py PORT AWS_ENDPOINT MODEL_SECONDS FOLDER`` serves the parcel task and prints "asked" before
each call of its model; with a fifth argument, the address of a model over Converse, it serves the bank's assistant.
"""

import asyncio
import sys
import time
from pathlib import Path

import uvicorn
from assistant_by_model import assistant_runtime, open_bank
from builders import runtime_of
from parcel_service import parcel_runtime

from service.app import create_app
from service.conversations.store import conversations_in_tables
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.settings import Settings
from service.kit.telemetry.log import configure_logging


def serve(port, endpoint, model_s, folder, model=None):
    settings = Settings(aws_endpoint=endpoint, state_dir=Path(folder), store_timeout_s=10.0)
    configure_logging("WARNING")
    queries = DynamoQueries.beside(client("dynamodb", settings), settings)
    table = conversations_in_tables(queries, settings, scope="test", kept_s=3600, timeout_s=10)

    async def before(call):
        print("asked", flush=True)
        await asyncio.sleep(model_s)

    def build(**changes):
        return runtime_of(
            settings=settings, interactions=None, disconnect=queries.aclose, clock=time.monotonic, **changes
        )

    if model is None:
        runtime = parcel_runtime(build, before, deadline_ms=5_000, conversations=table)
    else:
        open_bank()
        runtime = assistant_runtime(build, model=model, deadline_ms=5_000, conversations=table)
    uvicorn.run(create_app(runtime=runtime), host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *sys.argv[4:])

"""The service with a wall clock that is wrong by ``LOAD_CLOCK_SKEW_S`` seconds; everything else is the service's own."""

import argparse
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import uvicorn

from service.app import create_app
from service.kit.settings import Settings
from service.kit.telemetry.log import configure_logging
from service.runtime import build_runtime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    port = parser.parse_args().port
    skew = timedelta(seconds=float(os.environ["LOAD_CLOCK_SKEW_S"]))
    settings = Settings()
    configure_logging(settings.telemetry.log_level)
    runtime = replace(build_runtime(settings), now=lambda: datetime.now(UTC) + skew)
    uvicorn.run(create_app(settings, runtime), port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()

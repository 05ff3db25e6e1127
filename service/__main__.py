"""``python -m service``: the service's commands of ``omni``, for a container that holds this package alone.

Where a message says ``omni serve``, type ``python -m service serve`` there, with the same arguments. Exit codes: 0, 1 (something
is down or missing), 2 (could not run).
"""

import sys
from collections.abc import Sequence

from service.commands.register import add_commands
from service.commands.running import Debug, new_app, run_app
from service.kit.frame.errors import ServiceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line on standard error, never a traceback."""
    app = new_app("The omni-channel insights service. Exit codes: 0, 1 something is down or missing, 2 could not run.")

    @app.callback()
    def options(debug: Debug = False) -> None:
        del debug  # `run_app` reads it; a docstring here would replace the help's text

    add_commands(app)
    return run_app(app, name="python -m service", expected=(ServiceError,), arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())

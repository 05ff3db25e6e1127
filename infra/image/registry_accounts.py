"""Prepares MLflow's sign-in before its server starts: the tables, ``omni`` who may write, ``reader`` who may read.

Passwords come from the environment at each start, so a renewed secret and a new task renew them. ``MLFLOW_AUTH_CONFIG_PATH``
is written here, because it holds the database's address.
"""

import os
from pathlib import Path

# A password is hashed at each request (0.7 to 0.9 s on a busy core) unless the answer is kept.
_CONFIG = """[mlflow]
admin_username = omni
default_permission = READ
database_uri = {uri}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 300
"""


def main() -> None:
    """Write the configuration, make the tables and set both passwords."""
    uri = os.environ["STORE_URI"]
    Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]).write_text(_CONFIG.format(uri=uri), encoding="utf-8")
    from mlflow.server.auth import store  # reads the configuration

    store.init_db(uri)
    for name, password, is_admin in (("omni", "WRITER_PASSWORD", True), ("reader", "READER_PASSWORD", False)):
        if store.has_user(name):
            store.update_user(name, password=os.environ[password])
        else:
            store.create_user(name, os.environ[password], is_admin=is_admin)


if __name__ == "__main__":
    main()

"""Takes over clients and token keys from the files that held them before: each one once, and never a revoked one."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.access.clients import CLIENT_ID, Client
from service.access.items import CLIENT, KEY, AccessItems
from service.access.keys import key_from_pem
from service.access.sealing import Sealer
from service.access.seals import change_client
from service.kit.frame.errors import ConfigurationError


class _ClientsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: dict[str, Client]


def take_over(folder: Path, items: AccessItems, sealer: Sealer) -> tuple[int, int]:
    """Copy clients of ``clients.json`` and keys of ``keys/*.pem`` that the table has never had; return how many of each.

    The key whose file name is last signs, as before; a key that was made in the table before that goes on signing.

    Raises:
        ConfigurationError: a file is not valid; nothing of it is taken.
        StoreError: the table does not answer.
    """
    clients = _clients(folder / "clients.json")
    files = sorted(file for file in folder.glob("keys/*.pem") if not file.name.startswith("."))
    if not clients and not files:
        return 0, 0
    # Keys of the same folder keep their order; all of them are older than any that was made in the table.
    keys = [key_from_pem(_content(file), str(file), sealer, signs_from=number) for number, file in enumerate(files)]
    present = items.read()
    missing = {KEY + name: item.model_dump_json() for name, item in keys}
    missing |= {CLIENT + name: client.model_dump_json() for name, client in clients.items()}
    missing = {name: text for name, text in missing.items() if name not in present}
    for name, text in missing.items():

        def unless_there(before: str | None, text: str = text) -> str | None:
            return text if before is None else None

        if name.startswith(CLIENT):
            change_client(items, sealer, name.removeprefix(CLIENT), unless_there)
        else:
            items.change(name, unless_there)
    taken = sum(name.startswith(CLIENT) for name in missing)
    return taken, len(missing) - taken


def _clients(file: Path) -> Mapping[str, Client]:
    if not file.exists():
        return {}
    try:
        found = _ClientsFile.model_validate(json.loads(_content(file))).clients
    except ValidationError as err:
        wrong = "; ".join(".".join(map(str, item["loc"])) + f": {item['msg']}" for item in err.errors())
        raise ConfigurationError(f"the clients file {file} is wrong: {wrong}") from None
    except ValueError as err:
        raise ConfigurationError(f"the clients file {file} is not JSON: {err}") from err
    unfit = sorted(name for name in found if CLIENT_ID.fullmatch(name) is None)
    if unfit:
        raise ConfigurationError(f"the clients file {file} is wrong: clients: {unfit[0]!r} is not a client name")
    return found


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"{file} cannot be read ({type(err).__name__})") from err

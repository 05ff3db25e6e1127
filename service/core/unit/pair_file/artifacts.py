"""Reads the artifacts that pairs name, such as learned weights: only bytes whose SHA-256 is the one in the pair are used."""

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, MutableMapping
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.core.unit.pair import Artifact, Pair
from service.core.unit.pair_file.front_matter import near_or_all
from service.kit.frame.errors import PairError
from service.kit.frame.strict import NotStrict, parse_yaml

M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 64_000_000
_REMEDY = "put that file back, or name the new one in the pair (`omni pin`), evaluate and release it"
_REMEDY_IN_CODE = "put that file back; new ones are named by pairs (`omni pin`)"
_TASK = re.compile(r"[a-z][a-z0-9_]*")


def open_artifacts(pair: Pair, folder: Path, kept: MutableMapping[str, bytes] | None = None) -> Pair:
    """Return ``pair`` with the verified bytes of its artifacts; a pair that names none is returned as it is. Reads the disk.

    Args:
        pair: a pair from its file or from a store.
        folder: the task's folder of pairs, where a file is sought first; then comes the folder of the task's code.
        kept: bytes by SHA-256 that this process has verified before. They are used in place of the files, whatever has become
            of those, and what is read is added.

    Raises:
        PairError: a file is missing, or is another one than the pair names; the message says which, and what to do.
    """
    if not pair.artifacts:
        return pair
    known = {} if kept is None else kept
    for artifact in pair.artifacts:
        if artifact.sha256 not in known:
            whose = f"pair {pair.name!r} of task {pair.task!r}"
            places = [folder, *_code_folder(pair.task)]
            known[artifact.sha256] = _read(artifact, places, whose, _REMEDY)
    return replace(pair, opened={artifact.sha256: known[artifact.sha256] for artifact in pair.artifacts})


@lru_cache(maxsize=16)
def built_in(task: str, artifact: Artifact) -> bytes:
    """Return the bytes of an artifact that the task's code brings along, for pairs that name none.

    Raises:
        PairError: the file is missing, or is another one than the code names.
    """
    return _read(artifact, list(_code_folder(task)), f"the code of task {task!r}", _REMEDY_IN_CODE)


def artifact_of(pair: Pair | None, task: str, own: Artifact) -> bytes:
    """Return the verified bytes of the pair's artifact that has the name of ``own``; without one, of ``own``, the task's.

    It is the same object every time, so a task can cache by it what it makes of the bytes.

    Raises:
        PairError: the file of ``own`` is missing or is another one, or the pair was not opened.
    """
    found = None if pair is None else pair.artifact(own.name)
    return built_in(task, own) if found is None else found


def rules_in(content: bytes, model: type[M], what: str) -> M:
    """Return the rules that people write into an artifact as YAML, such as a policy; ``what`` names them in messages.

    Raises:
        PairError: they cannot be read, or contradict themselves; the message says where.
    """
    try:
        return model.model_validate(parse_yaml(content.decode("utf-8"))[1])
    except (NotStrict, UnicodeDecodeError) as err:
        raise PairError(f"{what} cannot be read: {err}") from err
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the top"
        raise PairError(f"{what}, at {place}: {first['msg']}") from err


def check_names(pairs: Iterable[Pair], known: Collection[str]) -> None:
    """Check that the task, which asks for the artifacts ``known``, asks for each one of ``pairs``: no other would be used.

    Raises:
        PairError: it asks for none of this name; the message names those that it asks for.
    """
    for pair in pairs:
        for name in [artifact.name for artifact in pair.artifacts if artifact.name not in known]:
            hint = near_or_all(name, known, "it asks for")
            raise PairError(f"task {pair.task!r} asks for no artifact {name!r} of pair {pair.name!r}; {hint}")


def find_artifact(file: str, folder: Path, task: str) -> Path:
    """Return where a new artifact's ``file`` lies: in the task's folder of pairs, or else in that of its code.

    Raises:
        PairError: it is in neither, or is no path below a task's folder.
    """
    if fault := Artifact(name="new", file=file, sha256="0" * 64).fault():
        raise PairError(fault)
    places = [place / file for place in (folder, *_code_folder(task))]
    for path in places:
        if path.exists():
            return path
    raise PairError(f"there is no artifact {file!r}: neither {' nor '.join(map(str, places))}")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of an artifact's file.

    Raises:
        PairError: it is no regular file, cannot be read, or is larger than 64 MB.
    """
    try:
        return hashlib.sha256(_bytes(path)).hexdigest()
    except OSError as err:
        raise PairError(f"{path} cannot be read ({err.strerror or err})") from err


def _read(artifact: Artifact, places: list[Path], whose: str, remedy: str) -> bytes:
    """Return the bytes with the digest of ``artifact`` from the first of ``places`` that has them."""
    instead: list[str] = []
    for folder in places:
        path = folder / artifact.file
        try:
            # A link is followed inside the folder, where mounted configuration lies behind one, and never out of it.
            if not path.resolve(strict=True).is_relative_to(folder.resolve()):
                instead.append(f"{path} leads out of its folder")
                continue
            content = _bytes(path)
        except FileNotFoundError:
            instead.append(f"{path} does not exist")
            continue
        except (OSError, RuntimeError, PairError) as err:  # a circle of links is a RuntimeError until Python 3.13
            instead.append(f"{path} cannot be read ({err})")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == artifact.sha256:
            return content
        instead.append(f"{path} has SHA-256 {found}")
    raise PairError(
        f"{whose} was made with artifact {artifact.name!r}, file {artifact.file!r} with SHA-256 {artifact.sha256}, and "
        f"{'; '.join(instead) or 'there is no folder to find it in'}: {remedy}"
    )


def _bytes(path: Path) -> bytes:
    # A pipe would block, and a device might never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise PairError(f"{path} is no regular file")
    with path.open("rb") as file:
        too_large = os.fstat(file.fileno()).st_size > MOST_BYTES
        content = b"" if too_large else file.read(MOST_BYTES + 1)
    if too_large or len(content) > MOST_BYTES:
        raise PairError(f"{path} is larger than {MOST_BYTES / 1e6:g} MB, the most that an artifact may be")
    return content


def _code_folder(task: str) -> Iterator[Path]:
    """Yield the folder of a task's code, if it has one: that of a plug-in's task lies elsewhere than ours."""
    spec = find_spec(f"service.core.tasks.{task}") if _TASK.fullmatch(task) else None
    yield from map(Path, (spec.submodule_search_locations or ()) if spec is not None else ())

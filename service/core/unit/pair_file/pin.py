"""Writes the digests of artifacts into pair files: after training, or when an author has put a new file in place."""

import hashlib
import re
from pathlib import Path

from service.core.unit.pair_file.artifacts import digest_of, find_artifact
from service.core.unit.pair_file.front_matter import FrontMatter
from service.kit.frame.errors import PairError
from service.kit.frame.files import write_whole
from service.kit.frame.strict import MOST_YAML_BYTES, NotStrict, read_strict


def pin(path: Path, name: str, file: str | None = None) -> str:
    """Write an artifact's file and the SHA-256 of its bytes into the pair file ``path``, and return the digest.

    ``file`` None: the one that the pair names already. The pair's other lines stay as they are.

    Raises:
        PairError: the pair has no such artifact and no ``file`` was given, or the pair file or the artifact cannot be read.
    """
    try:
        text = read_strict(path, MOST_YAML_BYTES)
    except (OSError, NotStrict) as err:
        raise PairError(f"{path} cannot be read: {err}") from err
    source, key = FrontMatter(path, text.replace("\r\n", "\n")), f"artifacts.{name}"
    declared = source.get(key)
    if file is None:
        if declared is None:
            source.fail("artifacts", f"the pair names no artifact {name!r}; say which file it is")
        file = source.text(f"{key}.file")
    digest = digest_of(find_artifact(file, path.parent, path.parent.name))
    lines = text.split("\n")
    if declared is None:
        at = source.lines.get(
            "artifacts", source.body_line - 2
        )  # below the key, or before the line that ends the front matter
        above = [] if "artifacts" in source.lines else ["artifacts:"]
        lines[at:at] = [*above, f"  {name}:", f"    file: {file}", f"    sha256: {digest}"]
    else:
        for field, value in (("file", file), ("sha256", digest)):
            number = source.lines.get(f"{key}.{field}")
            if number is None:
                source.fail(key, f"artifact {name!r} has no {field!r}; add it")
            lines[number - 1] = re.sub(rf"(\b{field}:)[ \t]*[^\s,}}]*", rf"\g<1> {value}", lines[number - 1], count=1)
    new = "\n".join(lines)
    _check_pinned(path, new, key, (file, digest))
    write_whole(path, new)
    return digest


def _check_pinned(path: Path, text: str, key: str, wanted: tuple[str, str]) -> None:
    """Refuse a text that would not say what was pinned, as after entries in an unusual style."""
    try:
        source = FrontMatter(path, text.replace("\r\n", "\n"))
        found = (source.get(f"{key}.file"), source.get(f"{key}.sha256"))
    except PairError:
        found = (None, None)
    if found != wanted:
        raise PairError(
            f"{path}: the artifacts are written in a style that cannot be changed; write {key} by hand: {wanted}"
        )


def pinned(path: Path) -> tuple[str, ...]:
    """Return the names of the artifacts that a pair file names, sorted."""
    try:
        declared = FrontMatter(path, read_strict(path, MOST_YAML_BYTES).replace("\r\n", "\n")).get("artifacts")
    except (OSError, NotStrict) as err:
        raise PairError(f"{path} cannot be read: {err}") from err
    return tuple(sorted(map(str, declared))) if isinstance(declared, dict) else ()


def keep_trained(folder: Path, name: str, stem: str, content: bytes) -> tuple[Path, list[Path]]:
    """Write what was trained beside the pairs in ``folder``, and pin it in those that name the artifact; return file and pairs.

    The file has the beginning of its digest in its name, and no earlier one is written over: a release that names an earlier
    file, to which somebody may have to roll back, keeps being served.

    Raises:
        PairError: a pair file cannot be read.
    """
    file = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.json"
    write_whole(file, content)
    naming = [path for path in sorted(folder.glob("*.prompty")) if name in pinned(path)]
    for path in naming:
        pin(path, name, file.name)
    return file, naming

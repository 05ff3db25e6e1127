"""Tells an author what went wrong in code, and where, for errors that nobody foresaw."""

import re
import traceback
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)', re.MULTILINE)


def raised_at(err: BaseException) -> str:
    """Return ``file:line`` of the innermost frame that is in no installed library; "" if there is none.

    Libraries are passed over, because the mistake that they report was made by who called them. The file is given relative to
    the project's folder, or by its last two parts where it lies elsewhere. An error of a process pool has the place in the
    child, of which only the printed traceback comes back.
    """
    import sysconfig  # only for who reads an error, not at every start

    libraries = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(err.__traceback__)]
    if type(err.__cause__).__name__ == "_RemoteTraceback":  # of concurrent.futures.process, which has no public name
        frames += [(name, int(line)) for name, line in _FRAME.findall(str(err.__cause__))]
    found = ""
    for name, line in frames:
        if not name.startswith(("<", *libraries)):
            path = Path(name)
            inside = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else Path(*path.parts[-2:])
            found = f"{inside.as_posix()}:{line}"
    return found


def told(err: BaseException) -> str:
    """Return type, message and place of ``err`` on one line; of a bad regular expression also the expression."""
    said = " ".join(str(err).split())
    text = f"{type(err).__name__}: {said}" if said else type(err).__name__
    if isinstance(err, re.error) and err.pattern is not None:
        text += f" in the regular expression {err.pattern!r}"
    place = raised_at(err)
    return f"{text} (raised at {place})" if place else text

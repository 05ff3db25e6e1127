"""Commands of the house in a forked child of a process that has imported everything, instead of 2 to 6 seconds of imports each.

A test starts `python -m omni ...` with subprocess as ever. `install` makes that child a fork of a warm server, one per test
process: same argv, environment, working folder, standard streams, process group, signals and exit code, and a real child of the
caller, so that waiting, killing and pipes work as before. Whatever is not such a command starts as ever; so does everything in
a test marked ``cold``.
"""

import array
import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import json
import multiprocessing.util
import os
import pkgutil
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import left_behind

ROOT = Path(__file__).resolve().parents[1]
MODULES = {"omni", "service", "eval.tracking.worker"}
_HIGH = 500  # above any file number in use
_SUBREAPER = 36  # prctl: an orphan below the caller becomes the caller's child
_HOUSE = ("service", "eval", "reports", "figures", "omni")
_LIBRARIES = """
boto3 litellm mlflow mlflow.tracking mlflow.store.tracking.sqlalchemy_store mlflow.store.model_registry.sqlalchemy_store numpy
scipy.special securesystemslib.signer sqlite3 uvicorn
""".split()


class _State:
    lock = threading.Lock()
    server: "socket.socket | None" = None
    owner = 0
    cold = False
    start = subprocess.Popen._execute_child
    spawn = staticmethod(multiprocessing.util.spawnv_passfds)


def install():
    """Let ``subprocess`` start the house's commands from the warm server of this process."""
    subprocess.Popen._execute_child = _execute_child
    multiprocessing.util.spawnv_passfds = _spawnv


def share_descriptions():
    """Let all clients of boto3 share what it knows of services: each looks through all folders again and parses, 0.1 s."""
    import botocore.loaders
    import botocore.session

    load = botocore.loaders.JSONFileLoader().load_file
    botocore.loaders.JSONFileLoader.load_file = staticmethod(functools.cache(load))

    @functools.cache
    def create_loader(path=None):
        loader = botocore.loaders.create_loader(path)
        loader._search_paths = _Once(loader._search_paths)  # each session of boto3 adds its folder
        return loader

    botocore.session.create_loader = create_loader


class _Once(list):
    def append(self, item):
        if item not in self:
            super().append(item)


def cold(is_cold):
    """Start every process as ever from now on, or no longer."""
    _State.cold = is_cold


def _job(args, env, cwd):
    """What a command line asks of the warm server: its module and arguments; None if it must start by itself."""
    env = os.environ if env is None else env
    if isinstance(args, str | bytes) or not args or args[0] != sys.executable:
        return None
    rest, quiet, path = [str(part) for part in args[1:]], False, True
    while rest[:2] == ["-W", "ignore"] or rest[:1] == ["-P"]:
        quiet, path, rest = quiet or rest[0] == "-W", path and rest[0] != "-P", rest[2 if rest[0] == "-W" else 1 :]
    if rest[:1] != ["-m"] or len(rest) < 2 or rest[1] not in MODULES:
        return None
    folder = Path(os.fsdecode(cwd)) if cwd else Path.cwd()
    places = [folder, *(Path(place) for place in env.get("PYTHONPATH", "").split(os.pathsep) if place)]
    if any(place.resolve() != ROOT and (place / "service").exists() for place in places):
        return None  # another copy of the house
    if any(name in env for name in ("PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONSTARTUP", "OMNI_TESTS_COLD")):
        return None
    found = [str(places[0])] if path else []
    return {
        "module": rest[1], "argv": rest[2:], "quiet": quiet, "env": dict(env), "cwd": str(folder),
        "path": found + [str(place) for place in places[1:]],
    }  # fmt: skip


def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
                   p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
                   start_new_session, process_group):  # fmt: skip
    if env is not None and (mark := os.environ.get(left_behind.MARK)) is not None:
        env = {left_behind.MARK: mark, **env}
    job = None if _State.cold or shell or executable or not close_fds or uid or gid else _job(args, env, cwd)
    if job is None or (preexec_fn is not None and preexec_fn is not interruptible):
        return _State.start(
            self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell, p2cread,
            p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask, start_new_session,
            process_group,
        )  # fmt: skip
    streams = [p2cread if p2cread != -1 else 0, c2pwrite if c2pwrite != -1 else 1, errwrite if errwrite != -1 else 2]
    job |= {"session": start_new_session, "group": process_group}
    self.pid = _begin(job, streams, pass_fds, interruptible=preexec_fn is interruptible)
    self._child_created = True
    self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
    return None


def _spawnv(path, args, passfds):
    """In place of ``multiprocessing.util.spawnv_passfds``: a spawned worker imports nothing anew either."""
    texts = [os.fsdecode(part) for part in args]
    code = next((text for text in texts if text.startswith("from multiprocessing.spawn import spawn_main")), None)
    if _State.cold or code is None:
        return _State.spawn(path, args, passfds)
    job = {"code": code, "argv": texts[-1:], "quiet": False, "env": dict(os.environ), "cwd": str(Path.cwd())}
    return _begin(job | {"path": [""], "session": False, "group": -1}, [0, 1, 2], passfds)


def _begin(job, streams, pass_fds, *, interruptible=False):
    job |= {"fds": [0, 1, 2, *pass_fds], "parent": os.getpid(), "held": [*signal.pthread_sigmask(signal.SIG_BLOCK, [])]}
    job["interrupt"] = interruptible or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    libc = ctypes.CDLL(None)
    with _State.lock:
        libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        try:
            return _ask(job, [*streams, *pass_fds])
        finally:
            libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def interruptible():
    """As ``preexec_fn``: Ctrl-C reaches the child, although a shell's background jobs start with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _ask(job, streams):
    if _State.server is None or _State.owner != os.getpid():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, str(Path(__file__).resolve()), str(theirs.fileno())]
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
        os.set_inheritable(theirs.fileno(), True)
        os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
        theirs.close()
        _State.server, _State.owner = ours, os.getpid()
    return _call(_State.server, job, streams)


def _call(server, job, streams):
    text = json.dumps(job).encode()
    server.sendmsg([str(len(text)).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))])
    for at in range(0, len(text), 60_000):
        server.send(text[at : at + 60_000])
    answer = server.recv(100)
    if not answer:
        raise OSError("the warm server of this test process has ended")
    return int(answer)


def _received(connection):
    """The next job and the streams of its process; None once the test process has ended."""
    head, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(64 * 4))
    if not head:
        return None
    streams = array.array("i")
    for _, _, data in ancillary:
        streams.frombytes(data[: len(data) - len(data) % streams.itemsize])
    text = b""
    while len(text) < int(head):
        text += connection.recv(60_000)
    return json.loads(text), list(streams)


def serve(connection):
    """Fork a child for each job until the test process ends; return in the child, with its job."""
    while (received := _received(connection)) is not None:
        job, streams = received
        read, write = os.pipe()
        if (middle := os.fork()) == 0:
            if (child := os.fork()) == 0:
                while os.getppid() not in (job["parent"], 1):  # until the process between has ended
                    os.sched_yield()
                for done in (connection.fileno(), read, write):
                    os.close(done)
                connection.detach()
                return _become(job, streams)
            os.write(write, str(child).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(middle, 0)
        connection.send(os.read(read, 100))
        for done in (read, *streams):
            os.close(done)
    os._exit(0)


def _become(job, streams):
    """Make this process the one that was asked for; return its job. A command of its own starts from a fork of this moment."""
    if job["session"]:
        os.setsid()
    elif job["group"] >= 0:
        os.setpgid(0, job["group"])
    nested = None
    if job.get("module") == "omni":
        nested, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            nested.close()
            for stream in streams:
                os.close(stream)
            return serve(theirs)
        theirs.close()
        nested = socket.socket(fileno=fcntl.fcntl(nested.detach(), fcntl.F_DUPFD_CLOEXEC, _HIGH))
        _State.server, _State.owner = nested, os.getpid()
        install()
    high = [fcntl.fcntl(stream, fcntl.F_DUPFD, _HIGH) for stream in streams]
    os.closerange(3, _HIGH)
    for target, stream in zip(job["fds"], high, strict=True):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler if job["interrupt"] else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, job["held"])
    if job["quiet"]:
        warnings.simplefilter("ignore")
    sys.modules["numpy"].random.seed()
    # What a process draws when it imports must differ from its siblings'.
    sys.modules["service.kit.telemetry.fields"].set_account_key(secrets.token_bytes(32))
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdout.reconfigure(line_buffering=unbuffered or os.isatty(1), write_through=unbuffered)
    sys.path[:1] = job["path"]
    sys.argv = [job.get("module", "-c"), *job["argv"]]
    return job


def main():
    """Import everything, then serve over the socket whose number is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test process
    import fresh_stores

    share_descriptions()
    fresh_stores.install()
    filters = warnings.filters[:]
    houses = [importlib.import_module(name) for name in _HOUSE]
    found = [module.name for house in houses for module in pkgutil.walk_packages(house.__path__, f"{house.__name__}.")]
    for name in (*_LIBRARIES, *found):
        if not name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(name)
    warnings.filters[:] = filters
    gc.collect()
    gc.freeze()
    job = serve(socket.socket(fileno=int(sys.argv[1])))
    _end(_code_of(job))


def _code_of(job):
    """Run ``job``; return its exit code, with what the interpreter prints of an exception."""
    try:
        if "code" in job:
            exec(job["code"], {"__name__": "__main__"})  # what multiprocessing wrote
        else:
            runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return -signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code):
    """End as the interpreter does, but free nothing: DuckDB's binding would list what is still referred to."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader has closed the pipe
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    sys.modules["warm"] = sys.modules["__main__"]
    main()

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.kit.frame import files
from service.kit.frame.files import OWNER_ONLY, write_once, write_whole


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("content", "stored"), [("grün\n", "grün\n".encode()), (b"\x00\xff", b"\x00\xff"), ("", b"")])
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_new_content_replaces_old(tmp_path, content, stored, durable, kind):
    path = tmp_path / "a.txt"
    for _ in range(2):
        write_whole(kind(path), content, durable=durable)
        assert path.read_bytes() == stored
        path.write_bytes(b"something longer than before")
    assert left_in(tmp_path) == ["a.txt"]


def test_a_name_without_a_folder_is_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole("a.txt", "x", durable=True)
    assert left_in(tmp_path) == ["a.txt"]


def test_the_mode_is_the_callers_minus_the_umask(tmp_path, umask):
    write_whole(tmp_path / "open", "x")
    write_whole(tmp_path / "secret", "x", mode=OWNER_ONLY)
    (tmp_path / "secret").chmod(0o644)
    write_whole(tmp_path / "secret", "y", mode=OWNER_ONLY)
    assert (mode_of(tmp_path / "open"), mode_of(tmp_path / "secret")) == (0o644, 0o600)


def test_the_mode_is_set_before_the_content_is_written(tmp_path, monkeypatch):
    seen = []
    real = os.write

    def write(descriptor, body):
        seen.append((stat.S_IMODE(os.fstat(descriptor).st_mode), os.fstat(descriptor).st_size))
        return real(descriptor, body)

    monkeypatch.setattr(files.os, "write", write)
    write_whole(tmp_path / "secret", "x", mode=OWNER_ONLY)
    assert seen == [(0o600, 0)]


def test_a_partial_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda descriptor, body: real(descriptor, body[:3]))
    write_whole(tmp_path / "a", "0123456789")
    assert (tmp_path / "a").read_text() == "0123456789"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_keeps_the_old_file_and_removes_the_temporary_one(tmp_path, monkeypatch, step, error):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(error)):
        write_whole(path, "new", durable=True)
    assert (path.read_text(), left_in(tmp_path)) == ("old", ["a"])


def test_a_failing_cleanup_does_not_hide_the_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.os, "write", full)
    monkeypatch.setattr(files.os, "unlink", read_only)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", "new")


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "a", "x")


def test_durable_waits_for_the_file_before_the_rename_and_for_the_folder_after_it(tmp_path, monkeypatch):
    steps = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def replace(*names):
        steps.append("rename")
        real_replace(*names)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    write_whole(tmp_path / "a", "x")
    assert steps == ["rename"]
    write_whole(tmp_path / "a", "x", durable=True)
    assert steps[1:] == ["file", "rename", "folder"]


def test_an_unpaired_surrogate_is_refused(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "a\ud800b")
    assert (path.read_text(), left_in(tmp_path)) == ("old", ["a"])


def test_concurrent_writers_never_mix_their_content(tmp_path):
    path = tmp_path / "a"
    texts = [str(number) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_whole(path, text), texts))
    assert path.read_text() in texts
    assert left_in(tmp_path) == ["a"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    code = (
        "import os, signal, sys; from service.kit.frame import files\n"
        "files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_whole(sys.argv[1], 'new')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert path.read_text() == "old"


def test_write_once_keeps_an_existing_file(tmp_path, umask):
    path = tmp_path / "keys" / "key"
    assert write_once(path, b"first") is True
    assert write_once(path, b"second") is False
    assert (path.read_bytes(), mode_of(path), left_in(path.parent)) == (b"first", 0o600, ["key"])
    assert mode_of(path.parent) == 0o700


def test_write_once_writes_once_among_concurrent_writers(tmp_path):
    bodies = [str(number).encode() * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda body: write_once(tmp_path / "key", body), bodies))
    assert written.count(True) == 1
    assert (tmp_path / "key").read_bytes() == bodies[written.index(True)]
    assert left_in(tmp_path) == ["key"]


def test_write_once_leaves_no_file_when_it_fails(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_once(tmp_path / "key", b"x")
    assert left_in(tmp_path) == []

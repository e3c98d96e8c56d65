"""The files of a run's output folder: every change to them is durable and goes through here.

A file appears under its name whole or not at all, and a line of a log is there whole or is cut off
when the log is next opened, whatever happens in between: death, a full disk, a power cut. Each
operation is a chain of system calls, all of them made through `system`, so that a test can make
any one of them fail.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

LOCK = ".lock"
_CHUNK = 1 << 20


class Busy(Exception):  # noqa: N818 - a state of the folder, not a fault
    """Another run holds the folder."""


class System:
    """The system calls that change the folder, one method each."""

    def create(self, path: Path, flags: int) -> int:
        """Open for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o666)

    def write(self, file: int, data: memoryview) -> int:
        """Write some of `data`; returns how much."""
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        """Wait until a file or folder is on the disk."""
        os.fsync(file)

    def replace(self, source: Path, target: Path) -> None:
        """Rename, taking the place of what was there."""
        source.replace(target)

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""
        os.ftruncate(file, size)

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        path.mkdir()

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()


system = System()


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there yet."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    with _naming(path):
        with suppress(FileExistsError):  # another run was faster
            system.mkdir(path)
        _sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all.

    Raises
    ------
    OSError
        With the file's name, here as everywhere in this module.
    """
    part = path.with_name(f".{path.name}.part")
    with _naming(path):
        with _opened(part, os.O_TRUNC) as file:
            _write(file, data)
        system.replace(part, path)
        _sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file made by `write_whole`; it is on the disk when this returns."""
    with _naming(path), _opened(path, os.O_APPEND) as file:
        _write(file, line + b"\n")


def mend(path: Path) -> None:
    """Cut off a last line that was not written to its end."""
    with _naming(path):
        whole = _whole_lines(path)
        if whole < path.stat().st_size:
            with _opened(path, 0) as file:
                system.truncate(file, whole)
                system.fsync(file)


def remove(*paths: Path) -> None:
    """Remove files, those that are there, for good."""
    folders = {}
    for path in paths:
        with _naming(path), suppress(FileNotFoundError):
            system.unlink(path)
            folders[path.parent] = True
    for folder in folders:
        with _naming(folder):
            _sync_folder(folder)


def remove_folders(*paths: Path) -> None:
    """Remove folders in this order, as far as they are there and empty."""
    for path in paths:
        if path.is_dir() and not any(path.iterdir()):
            with _naming(path):
                system.rmdir(path)
                _sync_folder(path.parent)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Be the only one who writes to a folder, which is made where it is not there.

    The lock goes with the process that holds it, which may also remove it, and the folder.

    Raises
    ------
    Busy
        At once, where another process holds it.
    """
    file = _locked(folder)
    try:
        yield
    finally:
        os.close(file)


def _locked(folder: Path) -> int:
    """The lock, held; taken again where the one who held it has removed it meanwhile."""
    path = folder / LOCK
    while True:
        make_folder(folder)
        with suppress(FileNotFoundError), _naming(path), ExitStack() as closing:
            file = system.create(path, 0)
            closing.callback(os.close, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    f"{folder}: another run is writing to it; wait for it or stop it"
                ) from None
            if os.path.samestat(os.fstat(file), path.stat()):
                closing.pop_all()
                return file


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let every failure say which file it was: a failed write knows only a number."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = system.create(path, flags)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    """Write all of it, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[system.write(file, rest) :]
    system.fsync(file)


def _sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        system.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(file)


def _whole_lines(path: Path) -> int:
    """How many bytes of a file are lines with their end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _CHUNK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0

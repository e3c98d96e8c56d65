"""A process of one's own for what may crash, hang or eat the memory.

A child is a fresh interpreter that runs one function. It talks to its parent over a socket, tells
by a counter in shared memory that it gets on and where it is, and dies with its parent. Whatever
becomes of it, the parent notices: the socket closes, or the counter stands still.
"""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

_COUNT, _FIRST, _SECOND = range(3)
_BEAT_BYTES = 3 * 8
_ENTRY = "import sys; sys.path[:] = {path!r}; from framing.corpus.child import main; main({fds})"
_PATIENCE = 5
_PR_SET_PDEATHSIG = 1


class Child:
    """A process that runs ``body(link, *args)``; its parent's end.

    Parameters
    ----------
    body
        A function of a module, which takes a :class:`Link` first.
    args
        Anything that can be pickled.

    Attributes
    ----------
    pipe
        Takes and gives objects; ends (EOFError) when the child does.
    """

    def __init__(self, body: Callable[..., None], *args: Any) -> None:
        self.pipe, theirs = Pipe()
        with theirs, tempfile.TemporaryFile() as shared:
            shared.truncate(_BEAT_BYTES)
            fds = theirs.fileno(), shared.fileno()
            self._beats = memoryview(mmap.mmap(shared.fileno(), _BEAT_BYTES)).cast("q")
            self._process = subprocess.Popen(
                [sys.executable, "-c", _ENTRY.format(path=sys.path, fds=str(fds)[1:-1])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Native libraries write to it as they please, and tracebacks are for developers.
                stderr=None if "FRAMING_DEBUG" in os.environ else subprocess.DEVNULL,
                # Arrow's other pools reserve more addresses than a limit on them allows.
                env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},
                pass_fds=fds,
            )
        self.send((body, args))

    def send(self, message: Any) -> None:
        """Send a message; a child that is dead gets none, and is found dead when listened to."""
        try:
            self.pipe.send(message)
        except OSError:
            return
        finally:
            self.touch()

    def receive(self) -> Any:
        """The next message; EOFError or OSError where the child died before it."""
        message = self.pipe.recv()
        self.touch()
        return message

    def forgive(self, seconds: float) -> None:
        """Do not count the last seconds, in which nobody listened."""
        self._since += seconds

    def touch(self) -> None:
        """Let the time that it may be silent begin now."""
        self._seen, self._since = self._beats[_COUNT], monotonic()
        self._used = self._processor_seconds()

    def is_stuck(self, seconds: float) -> bool:
        """Whether it has worked so long without a sign of life, or waited some times as long.

        A busy machine that lets it wait must not decide what becomes of a document.
        """
        if self._beats[_COUNT] != self._seen:
            self.touch()
        silent = monotonic() - self._since
        if silent <= seconds:
            return False
        return silent > _PATIENCE * seconds or self._processor_seconds() - self._used > seconds

    def _processor_seconds(self) -> float:
        """How much it has computed so far; where that cannot be told, what the clock says."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return monotonic()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def place(self) -> tuple[int, int]:
        """Where it said it was, last."""
        return self._beats[_FIRST], self._beats[_SECOND]

    @property
    def beats(self) -> int:
        """How many signs of life it has given in all."""
        return self._beats[_COUNT]

    def end(self, patience: float = 0) -> str:
        """Kill it, unless it ends by itself within some seconds; returns what it died of."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        self.pipe.close()
        return signal.Signals(-code).name if code < 0 else f"exit {code}"


class Link:
    """The child's end."""

    def __init__(self, pipe: Connection[Any, Any], beats: memoryview) -> None:
        self.send, self.receive = pipe.send, pipe.recv
        self._beats = beats

    def beat(self, first: int, second: int = 0) -> None:
        """Tell that something begins, and where."""
        beats = self._beats
        beats[_FIRST], beats[_SECOND] = first, second
        beats[_COUNT] += 1

    @property
    def place(self) -> tuple[int, int]:
        """Where it said it was, last."""
        return self._beats[_FIRST], self._beats[_SECOND]

    def limit_memory(self, more: int) -> None:
        """From now on take at most `more` bytes of address space beyond what is taken already."""
        import resource

        try:
            with open("/proc/self/statm") as file:  # noqa: PTH123
                taken = int(file.read().split()[0]) * resource.getpagesize()
        except OSError:  # not Linux: no limit that works
            return
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = taken + more
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main(pipe: int, shared: int) -> None:
    """Run in the child what the parent asks for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    _die_with_parent()
    connection: Connection[Any, Any] = Connection(pipe)
    beats = memoryview(mmap.mmap(shared, _BEAT_BYTES)).cast("q")
    try:
        body, args = connection.recv()
        body(Link(connection, beats), *args)
    except (EOFError, BrokenPipeError):  # the parent is gone
        pass


def _die_with_parent() -> None:
    """Be killed when the parent is; elsewhere than on Linux, end at the next word to it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

"""How a command ends: exit codes, and one line on stderr instead of a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

DONE, SOME_FAILED, WRONG_USE, BUNDLE_REFUSED, MACHINE_FAILED = range(5)
INTERRUPTED, TERMINATED, PIPE_CLOSED = 130, 143, 141

_ROOM = "make room and run it again"
_MACHINE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit on file sizes and run it again",
    errno.EIO: "check the disk and run it again",
    errno.EROFS: "make it writable and run it again",
    errno.ENOMEM: "run it again with fewer workers",
    errno.EAGAIN: "run it again with fewer workers",
    errno.EMFILE: "raise the limit on open files and run it again",
    errno.ENFILE: "raise the limit on open files and run it again",
}

EXIT_CODES = """
Exit codes

- 0 done
- 1 finished, but some documents could not be scored (one line each on stderr; of a run,
  a row each in its errors), or an audit missed a limit
- 2 wrong use: an option, a file that is not there, a codebook with errors
- 3 a model bundle was refused
- 4 the machine failed: disk full, out of memory
- 130 interrupted (Ctrl-C), 143 terminated
"""


@contextmanager
def ending_well() -> Iterator[None]:
    """Turn whatever ends a command into one line on stderr and an exit code.

    Every command wears it: a traceback is a bug.
    """
    try:
        yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        fail(INTERRUPTED, "interrupted")
    except MemoryError:
        fail(MACHINE_FAILED, "out of memory: score fewer or smaller files at a time")
    except BrokenPipeError:
        silence_stdout()
        sys.exit(PIPE_CLOSED)
    except Exception as error:
        if "FRAMING_DEBUG" in os.environ:
            raise
        fail(*told(error))


def told(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error that ended a command."""
    from framing.codebook.codebook import CodebookError
    from framing.codebook.coded import CodedError
    from framing.corpus.files import Busy
    from framing.corpus.inputs import InputError
    from framing.corpus.manifest import RunRefused
    from framing.corpus.work import PoolBroken
    from framing.model.bundle import BundleError
    from framing.study.agreement import AgreementError
    from framing.study.evaluate import EvaluationError
    from framing.train.recipe import TrainingError

    if isinstance(error, (CodebookError, CodedError, EvaluationError, TrainingError)):
        return WRONG_USE, str(error)
    if isinstance(error, (RunRefused, Busy, InputError, AgreementError)):
        return WRONG_USE, str(error)
    if isinstance(error, BundleError):
        return BUNDLE_REFUSED, str(error)
    if isinstance(error, PoolBroken):
        return MACHINE_FAILED, str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename is not None else ""
        if error.errno in _MACHINE:
            silence_stdout()
            return MACHINE_FAILED, f"{error.strerror}{place}: {_MACHINE[error.errno]}"
        return WRONG_USE, f"{error.strerror}{place}"
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return SOME_FAILED, f"internal error: {what} (set FRAMING_DEBUG=1 for the traceback)"


def fail(code: int, line: str) -> NoReturn:
    """Say one line on stderr and end the command with `code`."""
    print(f"framing: {line}", file=sys.stderr)
    raise typer.Exit(code)


def silence_stdout() -> None:
    """Keep the interpreter from flushing to a closed pipe or a full disk on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

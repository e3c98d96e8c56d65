"""The one file that a command writes with -o: all of it or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from framing.cli.ending import WRONG_USE, fail

_Format = TypeVar("_Format")


def format_of(output: str | None, formats: Mapping[str, _Format], default: _Format) -> _Format:
    """The format that the name after -o ends in; refuses an ending that is none of `formats`."""
    suffix = Path(output or "").suffix.lower()
    if not suffix:
        return default
    if suffix not in formats:
        known = ", ".join(formats)
        fail(WRONG_USE, f"{output}: {suffix} is none of {known}; end in one, or give --format")
    return formats[suffix]


def check_output(output: str, inputs: Iterable[str]) -> None:
    """Refuse, before any work, an output that is an input or cannot be written."""
    target = Path(output)
    if target.is_dir():
        fail(WRONG_USE, f"{output} is a directory; name a file after -o")
    if not target.absolute().parent.is_dir():
        fail(WRONG_USE, f"there is no folder {target.parent}; make it, or name another after -o")
    for path in inputs:
        if target.exists() and Path(path).exists() and target.samefile(path):
            fail(WRONG_USE, f"{output} is one of the inputs and would be overwritten")


@contextmanager
def writing(output: str | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name only when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(output).resolve()
    if target.exists() and not target.is_file():  # a device or a pipe is written to as it is
        with target.open("wb") as out:
            yield out
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)

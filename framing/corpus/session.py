"""A session of a run in its folder: alone there, noted in the log, without a trace if in vain."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from framing.corpus import files, manifest
from framing.corpus.manifest import LOG, RUN


@contextmanager
def held(out: Path, workers: int) -> Iterator[None]:
    """Be the only one who writes to a folder, and keep its log.

    Where this ends in an error and no work is done yet, the folder is left as it was found.

    Raises
    ------
    Busy
        Another process holds the folder.
    """
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    found = {name for name in (RUN, LOG, files.LOCK) if (out / name).exists()}
    with files.lock(out):
        try:
            with _logged(out, workers):
                yield
        except BaseException:
            if RUN not in found and not manifest.is_begun(out):
                with suppress(OSError):
                    manifest.undo(out)
                    files.remove(*(out / name for name in (LOG, files.LOCK) if name not in found))
                    files.remove_folders(*new)
            raise


@contextmanager
def _logged(out: Path, workers: int) -> Iterator[None]:
    """Note in `log.jsonl`, which is no part of the output, when, where and how a session went."""

    def note(event: str) -> None:
        row = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "host": socket.gethostname(),
            "process": os.getpid(),
            "workers": workers,
            "event": event,
        }
        files.append_line(out / LOG, json.dumps(row).encode())

    if (out / LOG).exists():
        files.mend(out / LOG)
    note("began")
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # where the disk is full, the error itself is what matters
            note(" ".join(f"stopped: {type(error).__name__} {error}".split()))
        raise
    note("done")

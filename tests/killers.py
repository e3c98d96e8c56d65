"""Tasks for a pool whose documents do to a worker what their text says."""

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from framing.corpus.inputs import resolve
from framing.text.document import Failure, Reason


class Panic(BaseException):
    """What a crash in a native library looks like."""


@dataclass(frozen=True)
class Counting:
    """Gives for each item its text's length, or the reason it failed for."""

    marks: Path | None = None  # a folder for documents that act up only once

    def open(self, threads):
        def count(shard, beat, careful):
            found = []
            for index, item in enumerate(shard.items):
                beat(index)
                try:
                    found.append((item.source, item.position, self.outcome(resolve(item))))
                except BaseException as crash:
                    if not careful:
                        raise
                    reason = Reason.TOO_LARGE if isinstance(crash, MemoryError) else Reason.CRASHED
                    found.append((item.source, item.position, reason))
            return found

        return count

    def outcome(self, content):
        if isinstance(content, Failure):
            return content.reason
        for word, act in ACTS.items():
            if word in content.text and (self.marks is None or first_time(self.marks / content.id)):
                act()
        return len(content.text)


def first_time(mark):
    seen = mark.exists()
    mark.touch()
    return not seen


def panic():
    raise Panic("the tokenizer panicked")


def eat():
    return [bytearray(1 << 24) for _ in range(1000)]


def hang():
    while True:
        pass


ACTS = {
    "KILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SEGFAULT": lambda: ctypes.string_at(0),
    "PANIC": panic,
    "EAT": eat,
    "HANG": hang,
    "WAIT": lambda: time.sleep(600),
    "EXIT": lambda: os._exit(0),
}


class Refused(Exception):
    def __init__(self, path, why):
        super().__init__(f"{path}: {why}")
        self.path = path


@dataclass(frozen=True)
class Refusing:
    def open(self, threads):
        raise Refused("model", "is damaged")


@dataclass(frozen=True)
class NeverStarting:
    def open(self, threads):
        os._exit(3)

"""A progress line on a terminal: how many files and documents are done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

T = TypeVar("T")

_WIDTH = 24


class Progress:
    """Counts files and documents as they pass and shows the count where `stream` is a terminal.

    The line is gone while a result is handed out, so that whoever prints it prints on a clean
    line.
    """

    def __init__(self, files: int, stream: TextIO) -> None:
        self._total = files
        self._files = 0
        self._documents = 0
        self._stream = stream
        self._visible = stream.isatty()

    def files(self, paths: Iterable[T]) -> Iterator[T]:
        """Pass `paths` on; each is done when the next one is asked for."""
        for path in paths:
            yield path
            self._files += 1

    def documents(self, results: Iterable[T]) -> Iterator[T]:
        """Pass `results` on, with the line shown while the next one is being made."""
        try:
            self._draw()
            for result in results:
                self._clear()
                yield result
                self._documents += 1
                self._draw()
        finally:
            self._clear()

    def _draw(self) -> None:
        if not self._visible:
            return
        count = f"{self._documents:,} document{'s' * (self._documents != 1)}"
        if self._total > 1:
            bar = ("#" * (_WIDTH * self._files // self._total)).ljust(_WIDTH, ".")
            count = f"[{bar}] {self._files}/{self._total} files, {count}"
        self._stream.write(f"\r\x1b[K{count}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

"""Standard input: what it begins with, and what to say about it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain

from framing.text.bytes_in import Unreadable


def beginning(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of what is read, as far as its first line where that may be JSON; and all."""
    head = bytearray()
    text = b""
    for piece in pieces:
        head += piece
        text = bytes(head).removeprefix(codecs.BOM_UTF8).lstrip()
        if text and (not text.startswith(b"{") or b"\n" in text):
            break
    return text, chain([bytes(head)], pieces)


def of_stdin(reason: Unreadable) -> Unreadable:
    """Give advice about a pipe where a file's would make no sense."""
    message = reason.message.replace("save the file as UTF-8", "turn it into UTF-8 first")
    what, _, advice = message.partition(": ")
    if re.search("suffix|saved|again|the right file|check the file", advice):
        message = f"{what}: check what is piped in, or save it as a file and name that"
    message = message.replace("the file is empty", "standard input is empty")
    stdin = Unreadable(reason.reason, message, reason.where, reason.fields)
    stdin.id = reason.id
    return stdin

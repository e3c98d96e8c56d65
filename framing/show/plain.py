"""Small wordings shared by everything that shows results."""

from __future__ import annotations

import unicodedata


class _Printable(dict[int, str]):
    """Characters that would steer a terminal, each replaced by one that can be seen."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "\n\t\r\v\f\x85\u2028\u2029":
            character = " "
        elif unicodedata.category(character) in ("Cc", "Cs") or unicodedata.bidirectional(
            character
        ) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
            character = "\N{REPLACEMENT CHARACTER}"
        self[code] = character
        return character


_PRINTABLE = _Printable()


def printable(text: str) -> str:
    """`text` safe to print, character for character: no escape codes, no line breaks."""
    return text.translate(_PRINTABLE)


def percent(share: float) -> str:
    """A share in [0, 1] as per cent in four characters at most: never 0% or 100% by rounding."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 passage", "1,204 passages"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

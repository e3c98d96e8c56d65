"""Texts changed letter by letter: disguises that the eye does not see, and slips of the hand."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np

TYPO_RATE = 0.05

Rng = np.random.Generator

_INVISIBLE = "\u200b\u2060\ufeff\u00ad\u200e\u202c"
_LOOK_ALIKES = str.maketrans("aceopxyiABEHKMOPCTX", "асеорхуіАВЕНКМОРСТХ")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    key: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in _KEYS for i, key in enumerate(row)
}


def invisible(text: str, rng: Rng) -> str:
    """Zero-width and direction characters after every fifth letter or so."""
    return _after_some(text, rng, 0.2, lambda: _INVISIBLE[rng.integers(len(_INVISIBLE))])


def hyphenated(text: str, rng: Rng) -> str:
    """Soft hyphens after every third letter or so."""
    return _after_some(text, rng, 0.3, lambda: "\u00ad")


def look_alike(text: str, rng: Rng) -> str:
    """In each word of four letters or more, the first letter but one that has a Cyrillic twin."""
    return " ".join(_one_twin(word) for word in text.split(" "))


def full_width(text: str, rng: Rng) -> str:
    """Every third word or so in full-width letters."""
    return " ".join(
        "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)
        if rng.random() < 0.3
        else word
        for word in text.split(" ")
    )


def decomposed(text: str, rng: Rng) -> str:
    """Accents as characters of their own, spaces that do not break."""
    return unicodedata.normalize("NFD", text).replace(" ", "\u00a0")


DISGUISES = (invisible, hyphenated, look_alike, full_width, decomposed)


def mistyped(text: str, rng: Rng) -> str:
    """A slip for every twentieth character, at random places; only letters are hit.

    Slips are swapped neighbours, a letter left out, doubled, or hit on the key beside it.
    """
    typed = list(text)
    count = round(TYPO_RATE * len(text))
    letters = [i for i, c in enumerate(text) if c.isascii() and c.isalpha()]
    for i in rng.permutation(letters)[:count]:
        typed[i] = _slip(typed, int(i), rng)
    return "".join(typed)


def _slip(typed: list[str], i: int, rng: Rng) -> str:
    here = typed[i]
    match rng.integers(4):
        case 0 if i + 1 < len(typed) and typed[i + 1].isalpha():
            typed[i + 1], here = here, typed[i + 1]
            return here
        case 1:
            return ""
        case 2:
            return here + here
        case _:
            beside = _NEIGHBOURS.get(here.lower()[:1], here)
            key = beside[rng.integers(len(beside))]
            return key.upper() if here.isupper() else key


def _after_some(text: str, rng: Rng, share: float, mark: Callable[[], str]) -> str:
    return "".join(c + mark() if c.isalpha() and rng.random() < share else c for c in text)


def _one_twin(word: str) -> str:
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    for i, letter in enumerate(word[1:], 1):
        if ord(letter) in _LOOK_ALIKES:
            return word[:i] + letter.translate(_LOOK_ALIKES) + word[i + 1 :]
    return word

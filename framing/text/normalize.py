"""Clean text for the model, with an exact map back to what people see.

Invisible characters, look-alike letters and decorative alphabets change what a tokenizer sees
without changing what a reader sees. `normalize` undoes them and keeps case, quotation marks and
dashes as they are.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

# Characters without a glyph: soft hyphen, grapheme joiner, zero-width and bidirectional controls,
# fillers, variation selectors, byte order mark, annotation and object marks, tags.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINERS = "\u200c\u200d"
_CONTROLS = "\x00-\x08\x0e-\x1f\x7f"
_LINE_ENDS = "\v\f\u2028\u2029"
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000"
_BYTES = "\x80-\x9f\ud800-\udfff"  # Windows-1252 read as Latin-1; lone surrogates
# Ligatures, full-width forms, the letters of "mathematical" alphabets with their gaps (and one
# accent that is two).
_STYLES = (
    "\u0344\ufb00-\ufb06\uff01-\uff5e\uffe0-\uffe2\uffe4-\uffe6\U0001d400-\U0001d7ff"
    "\u2102\u210a-\u2113\u2115\u2119-\u211d\u2124\u2128\u212c\u212d\u212f-\u2131\u2133\u2134"
)
# The scripts in which a joiner between two letters is spelling: Arabic to Myanmar, Mongolian.
_JOINING = "\u0620-\u08ff\u0900-\u109f\u1780-\u180a\u1810-\u18aa\ufb50-\ufdff\ufe70-\ufefc"

#: What a regular expression's character class holds to match all that shows nothing.
BLANK = f"\\s{_CONTROLS}{_INVISIBLE}{_JOINERS}\x80\x81\x8d\x8f\x90\x9d\u2800"

_ASCII_CHANGE = re.compile(f"[{_CONTROLS}\v\f]")
_CHANGE = re.compile(f"[{_CONTROLS}{_LINE_ENDS}{_SPACES}{_BYTES}{_STYLES}{_INVISIBLE}{_JOINERS}]")
_SPACE = re.compile(f"[{_SPACES}]")
_STYLED = re.compile(f"[{_STYLES}]")
_SPELLED = re.compile(f"(?<=[{_JOINING}])[{_JOINERS}](?=[{_JOINING}])")

_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_OTHER = "\u0370-\u0373\u0376-\u037d\u037f-\u0383\u0386\u0388-\u052f\u1f00-\u1fff"
_MARKS = "\u0300-\u036f"
_PILING = f"{_MARKS}\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_PILE = re.compile(f"([{_PILING}]{{8}})[{_PILING}]+")
_MIXED = re.compile(f"[{_LATIN}][{_MARKS}]*[{_OTHER}]|[{_OTHER}][{_MARKS}]*[{_LATIN}]")
_NOT_LATIN = re.compile(f"[{_OTHER}]")
_LETTERS = f"{_LATIN}{_MARKS}{_OTHER}"
_WORD = re.compile(f"(?<![{_LETTERS}])[{_LATIN}{_MARKS}]*+[{_OTHER}][{_LETTERS}]*")
_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХҮԚԜҺаеѕіјорсухһԁԛԝүӀӏ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχϲϳ",
    "ABESIJKMHOPCTYXYQWHaesijopcyxhdqwyIl" + "ABEZHIKMNOPTYXaikvopuxcj",
)


@dataclass(frozen=True, slots=True)
class _Edits:
    """One pass over a text: ``new[new_start:new_end]`` came from ``old[old_start:old_end]``.

    The four columns are sorted; between two edits the texts agree.
    """

    new_starts: list[int]
    new_ends: list[int]
    old_starts: list[int]
    old_ends: list[int]

    def old_start(self, position: int) -> int:
        """Where the character at `position` began, in the old text."""
        k = bisect_right(self.new_starts, position) - 1
        if k < 0:
            return position
        if position < self.new_ends[k]:
            return self.old_starts[k]
        return self.old_ends[k] + position - self.new_ends[k]

    def old_end(self, position: int) -> int:
        """Where the character before `position`, and what was removed behind it, ended."""
        k = bisect_right(self.new_ends, position)
        if k < len(self.new_starts) and self.new_starts[k] < position:
            return self.old_ends[k]
        if k == 0:
            return position
        return self.old_ends[k - 1] + position - self.new_ends[k - 1]


@dataclass(frozen=True, slots=True)
class Normalized:
    """A cleaned text and the way back.

    Attributes
    ----------
    text : str
        The cleaned text.
    touched : int
        How many characters of the original were changed or removed.
    """

    text: str
    touched: int = 0
    _passes: tuple[_Edits, ...] = ()

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that became ``text[start:end]``.

        A removed character belongs to the one before it, at the very beginning to the one after
        it; a span that cuts through what was one original character gets the whole of it. So
        neighbouring spans stay neighbours and ``to_original(0, len(text))`` is everything.
        """
        low, high = start, end
        for edits in reversed(self._passes):
            low, high = edits.old_start(low), edits.old_end(high)
        if start == 0:
            low = 0
        if start == end and self.text:
            high = low
        return low, high


def normalize(text: str) -> Normalized:
    """Undo what changes a text's characters but not its looks.

    Composes to NFC; removes invisible and bidirectional controls, soft hyphens and variation
    selectors (joiners only where they are not spelling, as they are in Persian or Hindi); turns
    full-width forms, mathematical alphabets and ligatures into plain letters, exotic spaces into a
    space, Windows-1252 bytes into the characters they stand for, lone surrogates into U+FFFD; and
    folds Cyrillic and Greek look-alikes to Latin in words that mix scripts and become wholly Latin
    by it. Idempotent, linear in the length of the text.

    Parameters
    ----------
    text : str
        Any string, lone surrogates included.

    Returns
    -------
    Normalized
        The clean text, how many characters were touched, and the map back.
    """
    passes: list[_Edits] = []
    # A folded letter may compose with the accent after it, and composing may lengthen a pile.
    for changes in (_mapped, _trimmed, _composed, _folded, _composed, _trimmed):
        text, edits = _apply(text, changes(text))
        if edits.new_starts:
            passes.append(edits)
        if text.isascii():
            break
    return Normalized(text, _touched(passes), tuple(passes))


def _mapped(text: str) -> Iterator[tuple[int, int, str]]:
    pattern = _ASCII_CHANGE if text.isascii() else _CHANGE
    for match in pattern.finditer(text):
        if match[0] not in _JOINERS or not _SPELLED.match(text, match.start()):
            yield match.start(), match.end(), _plain(match[0])


def _trimmed(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what is piled on a letter above eight marks: decoration, and slow to compose."""
    return ((m.end(1), m.end(), "") for m in _PILE.finditer(text))


def _composed(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the clusters (a base character and what may join it) that NFC changes."""
    if unicodedata.is_normalized("NFC", text):
        return
    # Nothing in ASCII ever joins the character before it: runs compose on their own.
    for run in re.finditer(r"[\x00-\x7f]?[^\x00-\x7f]+", text):
        if unicodedata.is_normalized("NFC", run[0]):
            continue
        start = run.start()
        for position in range(start + 1, run.end() + 1):
            if position < run.end() and _joins(text[position]):
                continue
            cluster = text[start:position]
            composed = unicodedata.normalize("NFC", cluster)
            if composed != cluster:
                yield start, position, composed
            start = position


def _joins(character: str) -> bool:
    """May compose with the character before it: marks, Hangul vowels and finals, Kirat Rai."""
    return (
        unicodedata.category(character)[0] == "M"
        or "\u1160" <= character <= "\u11ff"
        or "\U00016d40" <= character <= "\U00016d7f"
    )


def _folded(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield each look-alike letter in a mixed word that is Latin without it."""
    if not (_NOT_LATIN.search(text) and _MIXED.search(text)):
        return
    for word in _WORD.finditer(text):
        folded = word[0].translate(_LOOK_ALIKES)
        if _MIXED.search(word[0]) and not _NOT_LATIN.search(folded):
            for offset, (old, new) in enumerate(zip(word[0], folded, strict=True)):
                if old != new:
                    yield word.start() + offset, word.start() + offset + 1, new


def _apply(text: str, changes: Iterable[tuple[int, int, str]]) -> tuple[str, _Edits]:
    """Replace ``text[start:end]`` for each change, in order, and write down where."""
    parts: list[str] = []
    edits = _Edits([], [], [], [])
    done = length = 0
    for start, end, replacement in changes:
        parts += text[done:start], replacement
        length += start - done
        edits.new_starts.append(length)
        length += len(replacement)
        edits.new_ends.append(length)
        edits.old_starts.append(start)
        edits.old_ends.append(end)
        done = end
    return ("".join([*parts, text[done:]]) if parts else text), edits


def _touched(passes: list[_Edits]) -> int:
    """Count original characters under at least one edit of any pass."""
    spans: list[tuple[int, int]] = []
    for depth, edits in enumerate(passes):
        for low, high in zip(edits.old_starts, edits.old_ends, strict=True):
            for earlier in reversed(passes[:depth]):
                low, high = earlier.old_start(low), earlier.old_end(high)
            spans.append((low, high))
    total = reached = 0
    for low, high in sorted(spans):
        total += max(0, high - max(low, reached))
        reached = max(reached, high)
    return total


@cache
def _plain(character: str) -> str:
    """Return what stands for a character that `_CHANGE` matches: nothing if it is invisible."""
    if character in _LINE_ENDS:
        return "\n"
    if "\x80" <= character <= "\x9f":
        return bytes([ord(character)]).decode("cp1252", errors="ignore")
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    if _SPACE.match(character):
        return " "
    return unicodedata.normalize("NFKC", character) if _STYLED.match(character) else ""

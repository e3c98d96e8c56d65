"""Evidence: the words whose removal lowers a label most, by measuring it.

Occlusion (Zeiler & Fergus 2014; Li, Monroe & Jurafsky 2016) asks the model itself: a span is taken
out, the rest is scored again, and the fall of the label's logit is the span's effect. Logits, not
probabilities, are compared, because a probability near 1 hardly moves. The search goes from coarse
to fine: pieces of three words and short clauses first, then the single words of a label's best
piece, and then its best word with a neighbour. Against every span of one to four words around the
three best pieces, that is right as often for a third of the scorings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from framing.model.scored import Span

Logits = Callable[[Sequence[str]], NDArray[np.float32]]
Calibrate = Callable[[NDArray[np.float32]], NDArray[np.float64]]
Cut = tuple[int, int]  # the characters taken out

MAX_SPANS = 3
PIECE = 3  # words taken out together at first
CLAUSE = 8  # words in the longest clause or quotation tried
WORD_BY_WORD = 8  # words up to which a passage is searched word by word from the start
MOST = 0.8  # a shorter span with this share of the best effect is preferred
WORTH = 0.25  # further spans have more than this share of the best effect
VISIBLE = 0.01  # and move the probability at least this far

# A word with what clings to it, but without the punctuation that separates it from the next.
_CLINGS = r"[^\s,.;:…—–]"
_WORD = re.compile(rf"{_CLINGS}*[\w!?]{_CLINGS}*(?:[.,:](?=['’]?\w){_CLINGS}+)*")
_TITLE = "".join(rf"(?<!\b{title})" for title in ("Mr", "Mrs", "Ms", "Dr", "Gen", "Sen", "Rep"))
_BOUNDARY = re.compile(rf"[,;:…—–]|{_TITLE}\.|[!?][\"”’»)\]]*\s")
_QUOTED = re.compile(r"“[^“”]+”|\"[^\"]+\"|«[^«»]+»|‘[^‘’]+’(?!\w)")


def find_evidence(
    texts: Sequence[str],
    whole: NDArray[np.float32],
    targets: Sequence[Sequence[int]],
    logits: Logits,
    calibrate: Calibrate,
) -> list[dict[int, tuple[Span, ...]]]:
    """Find the spans that led to labels, for many passages in three rounds of scoring.

    Parameters
    ----------
    texts
        Passages, as the model sees them.
    whole
        Their logits, (n, labels).
    targets
        For each passage the columns of the labels to explain.
    logits
        Scores texts, (n, labels).
    calibrate
        Turns logits into probabilities, (n, labels) each; increasing in every column.

    Returns
    -------
    list of dict
        For each passage, target column to at most three spans that do not overlap, strongest
        first; a span's effect is the fall of the calibrated probability. A label that no
        removal lowers gets no span.
    """
    searches = list(map(_Search, texts, whole, targets))
    for step in (_Search.pieces, _Search.words_of_the_best, _Search.pairs_with_the_best):
        jobs = [(search, cut) for search in searches for cut in step(search)]
        rows = logits([without(search.text, *cut) for search, cut in jobs])
        for (search, cut), row in zip(jobs, rows, strict=True):
            search.effects[cut] = row
    return [search.found(calibrate) for search in searches]


def without(text: str, start: int, end: int) -> str:
    """The text with a span taken out; no two words are joined by it."""
    return f"{text[:start]} {text[end:]}"


class _Search:
    """The search in one passage: what to take out next, and the logits without it."""

    def __init__(self, text: str, whole: NDArray[np.float32], targets: Sequence[int]) -> None:
        self.text = text
        self.whole = whole
        self.targets = targets
        self.words = [m.span() for m in _WORD.finditer(text)]
        self.clauses = list(_clauses(text, self.words)) if targets else []
        self.longest = max(1, len(self.words) // 2)
        self.effects: dict[Cut, NDArray[np.float32]] = {}  # the logits without each span tried

    def pieces(self) -> list[Cut]:
        """The first spans to try: single words or short pieces, and clauses and quotations."""
        size = PIECE if len(self.words) > WORD_BY_WORD else 1
        most = min(CLAUSE, self.longest)
        parts = [clause for clause in self.clauses if len(clause) <= most]
        parts += [part for clause in self.clauses for part in _split(clause, size)]
        cuts = [self._cut(part) for part in parts]
        if self.targets:
            quotations = [m.span() for m in _QUOTED.finditer(self.text)]
            cuts += [q for q in quotations if len(self.text[slice(*q)].split()) <= most]
        return list(dict.fromkeys(cuts))

    def words_of_the_best(self) -> list[Cut]:
        """The single words of each label's best piece."""
        parts = [part for clause in self.clauses for part in _split(clause, PIECE)]
        tried = [part for part in parts if self._cut(part) in self.effects]
        return self._new(
            range(i, i + 1)
            for label in self.targets
            for i in max(tried, key=lambda part: self._fall(part, label), default=range(0))
        )

    def pairs_with_the_best(self) -> list[Cut]:
        """Each label's best word with the word before it, and with the word after it."""
        tried = [range(i, i + 1) for i, word in enumerate(self.words) if word in self.effects]
        best = [
            max(tried, key=lambda word: self._fall(word, label))
            for label in self.targets
            if tried and self.longest > 1
        ]
        return self._new(
            pair
            for i, *_ in best
            for pair in (range(i - 1, i + 1), range(i, i + 2))
            if any(pair[0] in clause and pair[1] in clause for clause in self.clauses)
        )

    def found(self, calibrate: Calibrate) -> dict[int, tuple[Span, ...]]:
        """For each label the spans that tell most."""
        return {
            label: _choose(self.effects, self.whole, label, calibrate) for label in self.targets
        }

    def _cut(self, part: range) -> Cut:
        return self.words[part[0]][0], self.words[part[-1]][1]

    def _fall(self, part: range, label: int) -> float:
        return float(self.whole[label] - self.effects[self._cut(part)][label])

    def _new(self, parts: Iterable[range]) -> list[Cut]:
        """What has not been tried, once each."""
        return [cut for cut in dict.fromkeys(map(self._cut, parts)) if cut not in self.effects]


def _split(clause: range, size: int) -> Iterator[range]:
    for first in range(clause.start, clause.stop, size):
        yield range(first, min(first + size, clause.stop))


def _clauses(text: str, words: Sequence[Cut]) -> Iterator[range]:
    """Split the words, by number, where punctuation stands between them."""
    first = 0
    for i in range(1, len(words)):
        # From the last word's last character on: "!" and quotation marks cling to the word.
        if _BOUNDARY.search(text, words[i - 1][1] - 1, words[i][0]):
            yield range(first, i)
            first = i
    if words:
        yield range(first, len(words))


def _choose(
    effects: dict[Cut, NDArray[np.float32]],
    whole: NDArray[np.float32],
    label: int,
    calibrate: Calibrate,
) -> tuple[Span, ...]:
    """Pick the strongest span, shorter where that costs little, then the next beside it."""
    falls = {cut: float(whole[label] - row[label]) for cut, row in effects.items()}
    before = calibrate(whole[None])[0, label]
    chosen: list[Span] = []
    floor = 0.0
    while len(chosen) < MAX_SPANS:
        free = {
            cut: fall
            for cut, fall in falls.items()
            if fall > floor and all(cut[1] <= s.start or s.end <= cut[0] for s in chosen)
        }
        if not free:
            break
        best = max(free.values())
        enough = [cut for cut, fall in free.items() if fall >= MOST * best]
        start, end = min(enough, key=lambda cut: (cut[1] - cut[0], -free[cut], cut))
        after = calibrate(effects[start, end][None])[0, label]
        effect = round(float(before - after), 6)
        if chosen and effect < VISIBLE:
            break
        chosen.append(Span(start, end, effect))
        floor = floor or WORTH * best
    return tuple(sorted(chosen, key=lambda s: -falls[s.start, s.end]))

"""Evidence: the words whose removal lowers a label most, by measuring it.

Occlusion (Zeiler & Fergus 2014; Li, Monroe & Jurafsky 2016) asks the model itself: a span is taken
out, the rest is scored again, and the fall of the label's logit is the span's effect. Logits, not
probabilities, are compared, because a probability near 1 hardly moves. Long passages are searched
coarse to fine: pieces of a few words first, then every span of one to four words around the best.
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
PHRASE = 4  # words in the longest phrase searched for
CLAUSE = 12  # words in the longest clause or quotation tried
WORD_BY_WORD = 24  # words up to which a passage is searched word by word from the start
MOST = 0.8  # a shorter span with this share of the best effect is preferred
WORTH = 0.25  # further spans have more than this share of the best effect
VISIBLE = 0.01  # and move the probability at least this far

# A word with what clings to it, but without the punctuation that separates it from the next.
_CLINGS = r"[^\s,.;:…—–]"
_WORD = re.compile(rf"{_CLINGS}*[\w!?]{_CLINGS}*(?:[.,:](?=\w){_CLINGS}+)*")
_BOUNDARY = re.compile(r"[,.;:…—–]|[!?][\"”’»)\]]*\s")
_QUOTED = re.compile(r"“[^“”]+”|\"[^\"]+\"|«[^«»]+»|‘[^‘’]+’(?!\w)")


def find_evidence(
    texts: Sequence[str],
    targets: Sequence[Sequence[int]],
    logits: Logits,
    calibrate: Calibrate,
) -> list[dict[int, tuple[Span, ...]]]:
    """Find the spans that led to labels, for many passages in two rounds of scoring.

    Parameters
    ----------
    texts
        Passages, as the model sees them.
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
    words = [[m.span() for m in _WORD.finditer(text)] for text in texts]
    coarse = [
        _coarse(text, spans) if wanted else []
        for text, spans, wanted in zip(texts, words, targets, strict=True)
    ]
    measured: list[dict[Cut, NDArray[np.float32]]] = [{} for _ in texts]
    whole = logits(texts)
    _measure(texts, coarse, measured, logits)
    fine = [
        _fine(text, spans, effects, whole[i], targets[i])
        for i, (text, spans, effects) in enumerate(zip(texts, words, measured, strict=True))
    ]
    _measure(texts, fine, measured, logits)
    return [
        {label: _choose(effects, whole[i], label, calibrate) for label in targets[i]}
        for i, effects in enumerate(measured)
    ]


def without(text: str, start: int, end: int) -> str:
    """The text with a span taken out; no two words are joined by it."""
    return f"{text[:start]} {text[end:]}"


def _coarse(text: str, words: Sequence[Cut]) -> list[Cut]:
    """The first spans to try: single words or short pieces, and clauses and quotations."""
    longest = max(1, len(words) // 2)
    clauses = list(_clauses(text, words))
    quotations = [m.span() for m in _QUOTED.finditer(text)]
    pieces = [clause for clause in clauses if len(clause) <= min(CLAUSE, longest)]
    size = min(PHRASE, longest) if len(words) > WORD_BY_WORD else 1
    for clause in clauses:
        pieces += [clause[i : i + size] for i in range(0, len(clause), size)]
    cuts = [(piece[0][0], piece[-1][1]) for piece in pieces]
    cuts += [q for q in quotations if len(text[slice(*q)].split()) <= min(CLAUSE, longest)]
    return list(dict.fromkeys(cuts))


def _clauses(text: str, words: Sequence[Cut]) -> Iterator[Sequence[Cut]]:
    """Split words where punctuation stands between them."""
    first = 0
    for i in range(1, len(words)):
        # From the last word's last character on: "!" and quotation marks cling to the word.
        if _BOUNDARY.search(text, words[i - 1][1] - 1, words[i][0]):
            yield words[first:i]
            first = i
    if words:
        yield words[first:]


def _fine(
    text: str,
    words: Sequence[Cut],
    effects: dict[Cut, NDArray[np.float32]],
    whole: NDArray[np.float32],
    targets: Iterable[int],
) -> list[Cut]:
    """Every span of one to four words, in one clause, around the labels' best coarse pieces."""
    longest = min(PHRASE, max(1, len(words) // 2))
    clause = [k for k, members in enumerate(_clauses(text, words)) for _ in members]
    index = {start: i for i, (start, _) in enumerate(words)}
    pieces = {cut: _words_in(words, index, cut) for cut in effects}
    pieces = {cut: span for cut, span in pieces.items() if 0 < span[1] - span[0] <= PHRASE}
    found: dict[Cut, None] = {}
    for label in targets:
        best = sorted(pieces, key=lambda cut: (float(effects[cut][label] - whole[label]), cut))
        for cut in best[:MAX_SPANS]:
            first, last = pieces[cut]
            for size in range(1, longest + 1):
                low, high = max(0, first - size + 1), min(last, len(words) - size + 1)
                if last - first == PHRASE:  # one word beyond a long piece is enough
                    low, high = max(low, first - 1), min(high, last - size + 2)
                for i in range(low, high):
                    if clause[i] == clause[i + size - 1]:
                        found[words[i][0], words[i + size - 1][1]] = None
    return [cut for cut in found if cut not in effects]


def _words_in(words: Sequence[Cut], index: dict[int, int], cut: Cut) -> tuple[int, int]:
    """The range of words that a cut covers; empty where it does not begin with a word."""
    first = last = index.get(cut[0], 0)
    while cut[0] in index and last < len(words) and words[last][1] <= cut[1]:
        last += 1
    return first, last


def _measure(
    texts: Sequence[str],
    cuts: Sequence[Sequence[Cut]],
    measured: Sequence[dict[Cut, NDArray[np.float32]]],
    logits: Logits,
) -> None:
    """Score every text without each of its cuts, all in one call, into `measured`."""
    jobs = [(i, cut) for i, wanted in enumerate(cuts) for cut in wanted]
    for (i, cut), row in zip(jobs, logits([without(texts[i], *c) for i, c in jobs]), strict=True):
        measured[i][cut] = row


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

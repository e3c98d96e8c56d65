"""Near-duplicates: which documents are copies, and of which first one.

A document is a copy of an earlier one if they share at least `THRESHOLD` of their 5-word shingles
(Jaccard), as estimated by MinHash [1]_ with 256 permutations, of which the lowest 8 bits each are
kept [2]_: standard error .025 at the threshold. Candidates are pairs that agree in one of 32 bands
of 8 permutations; each is verified. A copy always points to a *first*, a document that is itself
no copy and is scored, never along a chain.

Measured on 16,727 articles of six outlets: the 14 pairs at .8 or more by exact count are found and
nothing else. Of 400 articles copied with one kind of change, found: other quotes, dashes and case
100 %, headline changed 100 %, two paragraphs swapped 100 %, dateline and footer added 99.8 %, 1 %
of words replaced 97 %, 2 % 72 %, 3 % 24 %, last paragraph cut 62 %, last quarter cut 2 %. 3-word
shingles would find 98 % where 2 % of words are replaced, but with them monthly reports from one
template that tell of other figures reach .8, and what is called a copy is not scored.

A million documents take 500 MB and 12 s of `Firsts`; a core sketches 1,300 articles a second.

.. [1] Broder, "On the resemblance and containment of documents", 1997.
.. [2] Li and König, "b-Bit Minwise Hashing", WWW 2010.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from framing.corpus.inputs import resolve
from framing.corpus.manifest import RunRefused
from framing.corpus.shard import Key, Shard
from framing.text.document import Document
from framing.text.language import detect
from framing.text.normalize import normalize

#: The share of shingles that makes a copy.
THRESHOLD = 0.8
SHINGLE_WORDS = 5
PERMUTATIONS = 256
BANDS = 32

_SEED = 42
_SKETCH = np.dtype([("low", np.uint8, PERMUTATIONS), ("bands", "<u4", BANDS)])
_BAND_BYTES = 4 * PERMUTATIONS // BANDS
# By chance this share of the low bytes is equal.
_CHANCE = 1 / 256
_WORD = re.compile(r"\w+")
# A panic in a native library is a BaseException of its own: everything is caught but these.
_STOP = (KeyboardInterrupt, SystemExit, GeneratorExit)

Sketches = list[tuple[Key, bytes]]


def method() -> dict[str, int | float | str]:
    """Everything that decides what is a copy, for the run to pin.

    Raises
    ------
    RunRefused
        Where rensa is not installed.
    """
    try:
        from rensa import RMinHash
    except ModuleNotFoundError:
        raise RunRefused('--dedup needs rensa: pip install "framing[dedup]"') from None
    return {
        "method": "minhash",
        "algorithm": RMinHash.ALGORITHM_VERSION,
        "threshold": THRESHOLD,
        "shingle_words": SHINGLE_WORDS,
        "permutations": PERMUTATIONS,
        "bands": BANDS,
        "seed": _SEED,
    }


def sketch(text: str) -> bytes | None:
    """What is kept of a text to compare it by, 384 bytes; None for a text without words."""
    from rensa import RMinHash

    words = _WORD.findall(normalize(text).text.casefold())
    if not words:
        return None
    shifted = [words[i:] for i in range(min(SHINGLE_WORDS, len(words)))]
    shingles = list(map(" ".join, zip(*shifted, strict=False)))
    (digest,) = RMinHash.digests_from_token_sets([shingles], PERMUTATIONS, _SEED)
    slots = np.array(digest, "<u4")
    whole = slots.tobytes()
    kept = np.zeros((), _SKETCH)
    kept["low"] = slots & 255
    kept["bands"] = [
        crc32(whole[at : at + _BAND_BYTES]) for at in range(0, len(whole), _BAND_BYTES)
    ]
    return kept.tobytes()


@dataclass(frozen=True, slots=True)
class Sketching:
    """The work of a pass that looks for copies, to be sent to a worker.

    `language` is the one the model reads, None for any: a document in another one will not be
    scored, so that it cannot be the first of a kind.
    """

    language: str | None

    def open(self, threads: int) -> Callable[[Shard, Callable[..., None], bool], Sketches]:
        """Nothing needs loading; what comes back sketches a shard's documents."""
        return self._sketches

    def _sketches(self, shard: Shard, beat: Callable[..., None], careful: bool) -> Sketches:
        found = []
        for index, item in enumerate(shard.items):
            beat(index)
            try:
                document = resolve(item)
                made = self._sketch(document) if isinstance(document, Document) else None
            except _STOP:
                raise
            except BaseException:
                if not careful:
                    raise
                continue  # the run itself meets it again, and says so
            if made is not None:
                found.append(((item.source, item.position), made))
        return found

    def _sketch(self, document: Document) -> bytes | None:
        language, _ = detect(document.text[document.body_start :])
        readable = self.language in (None, language) or language == "und"
        return sketch(document.text) if readable else None


class Firsts:
    """Sketches gathered in reader order; 400 bytes of memory for each document."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._sketches = bytearray()

    def add(self, key: Key, sketch: bytes) -> None:
        """Take the next document in."""
        self._keys.extend(key)
        self._sketches += sketch

    def copies(self) -> Copies:
        """Find for every document its first near-copy among those before it."""
        keys = np.array(self._keys, np.int64).reshape(-1, 2)
        sketches = np.frombuffer(self._sketches, _SKETCH)
        first = _firsts(sketches["low"], _candidates(sketches["bands"]))
        found = np.flatnonzero(first != np.arange(len(first)))
        return Copies(*keys[found].T, *keys[first[found]].T)


def _candidates(bands: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Pairs that share a band as ``later << 32 | earlier``, sorted.

    In each band a document meets the earliest that has the same value and the one just before it;
    all pairs of a story printed a thousand times would be half a million.
    """
    pairs = np.empty(0, np.uint64)
    for values in bands.T:
        order = np.argsort(values, kind="stable").astype(np.uint64)
        ordered = values[order]
        begin = np.searchsorted(ordered, ordered)
        at = np.flatnonzero(begin < np.arange(len(ordered)))
        for earlier in (begin[at], at - 1):
            pairs = np.union1d(pairs, order[at] << np.uint64(32) | order[earlier])
    return pairs


def _firsts(low: NDArray[np.uint8], pairs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each document the earliest first that it is near to, or itself, (n,)."""
    first = np.arange(len(low))
    split = ((int(pair) >> 32, int(pair) & 0xFFFFFFFF) for pair in pairs)
    for document, group in groupby(split, key=itemgetter(0)):
        for candidate in sorted({int(first[earlier]) for _, earlier in group}):
            if _similarity(low[document], low[candidate]) >= THRESHOLD:
                first[document] = candidate
                break
    return first


def _similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return (float((one == other).mean()) - _CHANCE) / (1 - _CHANCE)


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Which documents are copies and of which: four columns, sorted by the copy's key."""

    source: NDArray[np.int64]
    position: NDArray[np.int64]
    first_source: NDArray[np.int64]
    first_position: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.source)

    def of(self, source: int, position: int) -> Key | None:
        """The key of the document's first copy, or None where it is no copy."""
        begin, end = np.searchsorted(self.source, [source, source + 1])
        at = begin + np.searchsorted(self.position[begin:end], position)
        if at == end or self.position[at] != position:
            return None
        return int(self.first_source[at]), int(self.first_position[at])

    def to_bytes(self) -> bytes:
        """As a Parquet file; equal copies give equal bytes."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = BytesIO()
        pq.write_table(
            pa.table({name: getattr(self, name) for name in self.__slots__}),
            out,
            compression="zstd",
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Copies:
        """Read what :meth:`to_bytes` wrote."""
        import pyarrow.parquet as pq

        columns: dict[str, Any] = dict(pq.read_table(BytesIO(data)).to_pydict())
        return cls(*(np.array(columns[name], np.int64) for name in cls.__slots__))

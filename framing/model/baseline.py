"""The baseline: TF-IDF of words and word pairs, one logistic regression per label.

Trains in seconds, scores with numpy alone. On the core training file, punctuation as tokens and
marks for a passage's beginning and end are worth .03 and .01 of mean average precision each;
character n-grams, word triples, kept capitals and balanced class weights are worth nothing.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FORMAT = "framing tfidf 1"
TABLE, ARRAYS = "baseline.json", "baseline.npz"
MAX_FEATURES = 30_000
MIN_DOCUMENTS = 2
C = 10.0

_TOKEN = re.compile(r"\w+|[^\w\s]")


def terms(text: str) -> list[str]:
    """The lower-cased words and punctuation marks of a text, its ends marked, and their pairs."""
    tokens = ["<s>", *_TOKEN.findall(text.lower()), "</s>"]
    return tokens + [f"{a} {b}" for a, b in pairwise(tokens)]


@dataclass(frozen=True)
class Tfidf:
    """A linear model on TF-IDF features; makes logits from texts.

    Attributes
    ----------
    vocabulary
        Term to its row in `coef`.
    idf
        (terms,) smoothed inverse document frequencies.
    coef, intercept
        (terms, labels) and (labels,).
    """

    vocabulary: Mapping[str, int]
    idf: NDArray[np.float32]
    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        targets: ArrayLike,
        known: ArrayLike | None = None,
        seed: int = 0,
    ) -> Tfidf:
        """Fit vocabulary and one regression per label; the same input gives the same model.

        Parameters
        ----------
        texts
            n passages.
        targets
            (n, labels) in [0, 1]; a share between counts in part as a yes, in part as a no. NaN
            is not coded.
        known
            (n, labels), False where a target is not to be used; None uses all that are not NaN.
        seed
            Passed to the solver.
        """
        from scipy.sparse import csr_array

        y = np.asarray(targets, float)
        if y.ndim != 2 or len(y) != len(texts):
            raise ValueError(f"targets {y.shape} must be ({len(texts)}, labels)")
        mask = ~np.isnan(y) if known is None else np.asarray(known, bool) & ~np.isnan(y)
        vocabulary, idf = _vocabulary(texts)
        rows = [_features(text, vocabulary, idf) for text in texts]
        ends = np.cumsum([0, *(len(index) for index, _ in rows)], dtype=np.int32)
        x = csr_array(
            (_join([value for _, value in rows]), _join([index for index, _ in rows]), ends),
            shape=(len(texts), len(vocabulary)),
        )
        models = [_fit_label(x[m], y[m, j], seed) for j, m in enumerate(mask.T)]
        # The model in memory is the one that a bundle will hold, rounding included.
        coef = np.array([w for w, _ in models]).T.astype(np.float16).astype(np.float32)
        return cls(vocabulary, idf, coef, np.array([b for _, b in models], np.float32))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores, (n, labels); a text's row does not depend on the other texts."""
        out = np.empty((len(texts), self.coef.shape[1]), np.float32)
        for row, text in zip(out, texts, strict=True):
            index, value = _features(text, self.vocabulary, self.idf)
            row[:] = value @ self.coef[index] + self.intercept
        return out

    def save(self, folder: str | Path) -> None:
        """Write `baseline.json` and `baseline.npz`: the same model gives the same bytes."""
        table = {"format": FORMAT, "terms": list(self.vocabulary)}
        arrays: dict[str, NDArray[Any]] = {
            "idf": self.idf,
            "coef": self.coef.astype(np.float16),
            "intercept": self.intercept,
        }
        folder = Path(folder)
        (folder / TABLE).write_text(json.dumps(table, ensure_ascii=False) + "\n", "utf-8")
        with zipfile.ZipFile(folder / ARRAYS, "w") as archive:
            for name, array in arrays.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())

    @classmethod
    def load(cls, files: Mapping[str, bytes]) -> Tfidf:
        """Read back what `save` wrote, from the files' bytes by name.

        Raises
        ------
        ValueError
            One line that names the file and what is wrong with it.
        """
        try:
            table = json.loads(files[TABLE])
            if not isinstance(table, dict) or set(table) != {"format", "terms"}:
                raise ValueError("must hold exactly 'format' and 'terms'")
            if table["format"] != FORMAT:
                raise ValueError(f"format must be {FORMAT!r}, not {table['format']!r}")
            names = table["terms"]
            if not isinstance(names, list) or not all(isinstance(t, str) for t in names):
                raise ValueError("terms must be a list of strings")
            vocabulary = {term: i for i, term in enumerate(names)}
            if len(vocabulary) < len(names):
                raise ValueError("a term stands twice")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{TABLE}: {error}") from None
        try:
            arrays = _read_arrays(files[ARRAYS])
            width = len(arrays["intercept"])
            expected = {"idf": (len(names),), "coef": (len(names), width), "intercept": (width,)}
            for name, shape in expected.items():
                if arrays[name].shape != shape:
                    raise ValueError(f"{name} must be {shape}, not {arrays[name].shape}")
                if not np.isfinite(arrays[name]).all():
                    raise ValueError(f"{name} holds a number that is not finite")
        except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{ARRAYS}: {error}") from None
        return cls(vocabulary, **arrays)


def _vocabulary(texts: Sequence[str]) -> tuple[dict[str, int], NDArray[np.float32]]:
    """The most frequent terms that stand in enough texts, in alphabetic order, and their idf."""
    counts: Counter[str] = Counter()
    documents: Counter[str] = Counter()
    for text in texts:
        found = terms(text)
        counts.update(found)
        documents.update(set(found))
    kept = [term for term, n in documents.items() if n >= MIN_DOCUMENTS]
    kept = sorted(sorted(kept, key=lambda term: (-counts[term], term))[:MAX_FEATURES])
    idf = [math.log((1 + len(texts)) / (1 + documents[term])) + 1 for term in kept]
    return {term: i for i, term in enumerate(kept)}, np.array(idf, np.float32)


def _features(
    text: str, vocabulary: Mapping[str, int], idf: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The non-zero features of a text: columns, ascending, and unit-length values."""
    counts = Counter(vocabulary[term] for term in terms(text) if term in vocabulary)
    index = np.array(sorted(counts), np.int32)  # liblinear reads no wider index
    value = (1 + np.log([counts[i] for i in index.tolist()])) * idf[index]
    norm = np.sqrt(value @ value)
    return index, (value / norm if norm else value).astype(np.float32)


def _fit_label(x: Any, y: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], float]:
    """Weights and intercept for one label; a label all yes or all no gets its smoothed odds."""
    from sklearn.linear_model import LogisticRegression

    yes, no = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
    if not len(yes) or not len(no):
        return np.zeros(x.shape[1]), math.log((y.sum() + 1) / ((1 - y).sum() + 1))
    rows = np.concatenate([yes, no])
    model = LogisticRegression(C=C, solver="liblinear", random_state=seed)
    model.fit(
        x[rows],
        np.repeat([1, 0], [len(yes), len(no)]),
        sample_weight=np.concatenate([y[yes], 1 - y[no]]),
    )
    return model.coef_[0], float(model.intercept_[0])


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _read_arrays(data: bytes) -> dict[str, NDArray[np.float32]]:
    names = {"idf", "coef", "intercept"}
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile) or set(archive.files) != names:
            raise ValueError(f"must hold exactly the arrays {sorted(names)}")
        arrays = {name: archive[name] for name in archive.files}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise ValueError(f"{name} must hold floating-point numbers, not {array.dtype}")
    return {name: array.astype(np.float32) for name, array in arrays.items()}

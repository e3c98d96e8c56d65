"""How well coders agree with each other, label by label.

All figures come from one table, the coincidence matrix (Krippendorff, "Computing Krippendorff's
Alpha-Reliability", 2011; Content Analysis, 4th ed. 2019, ch. 12): every passage that m >= 2 coders
coded adds each of its m (m - 1) ordered pairs of codes with weight 1 / (m - 1). So any number of
coders may code any part of the passages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framing.codebook.coded import DOCUMENT, ID, LABELS, TEXT
from framing.codebook.coders import CODER, Codes
from framing.model.metrics import METHOD, Estimate
from framing.study.evaluate import parts_by
from framing.study.resample import Resamples, estimate

Floats = NDArray[np.float64]

FIGURES = ("alpha", "agreement", "f1")
NO_SPREAD = "not bounded: all resamples give the same"


class AgreementError(ValueError):
    """Codes that agreement cannot be measured on."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How well coders agree on a label, or on average over labels.

    Attributes
    ----------
    passages
        Coded for the label by two coders or more; the others count for nothing here.
    yes
        The share of their codes that is yes.
    alpha
        Krippendorff's alpha for nominal data: 1 where all agree, 0 where they agree as often as
        codes dealt out at random. NaN where the codes are all yes or all no.
    agreement
        The share of pairs of codes that are equal.
    f1
        Of yes, one coder against another, over all pairs of codes of a passage (for two coders
        their F1, whichever is taken as the truth). NaN where nobody says yes.
    """

    passages: int
    yes: float
    alpha: Estimate
    agreement: Estimate
    f1: Estimate

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        figures = {name: getattr(self, name).to_dict() for name in FIGURES}
        return {"passages": self.passages, "yes": _clean(self.yes), **figures}


@dataclass(frozen=True, slots=True)
class Part:
    """Figures on all passages ("all") or on some ("round=2"), by label, and their mean.

    The mean is over the labels that a figure is defined for. `passages` of `documents` are those
    that two coders or more coded for some label.
    """

    name: str
    passages: int
    documents: int
    labels: Mapping[str, Figures]
    mean: Figures

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "name": self.name,
            "passages": self.passages,
            "documents": self.documents,
            "labels": {name: figures.to_dict() for name, figures in self.labels.items()},
            "mean": self.mean.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """Two coders, the passages both coded, and the mean of their alphas over labels."""

    coders: tuple[str, str]
    passages: int
    alpha: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "coders": list(self.coders),
            "passages": self.passages,
            "alpha": _clean(self.alpha),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well coders agree: on all passages first, then on the parts asked for, then in pairs.

    The pairs are those who coded some passage both, the most passages first.
    """

    codes: str
    coders: tuple[str, ...]
    parts: tuple[Part, ...]
    pairs: tuple[Pair, ...]
    seed: int

    @property
    def overall(self) -> Part:
        """All passages."""
        return self.parts[0]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "codes": self.codes,
            "coders": list(self.coders),
            "seed": self.seed,
            "parts": [part.to_dict() for part in self.parts],
            "pairs": [pair.to_dict() for pair in self.pairs],
        }


def agreement(
    codes: Codes, *, name: str = "codes", by: str | None = None, seed: int = 0
) -> Agreement:
    """Measure how well coders agree; intervals resample whole documents, all labels at once.

    As every percentile bootstrap they tend to be too narrow where documents are few.

    Parameters
    ----------
    codes
        From `framing.codebook.coders.read_codes`.
    name
        What tables call them.
    by
        A column of the codes ("round"): each of its values with at least 30 passages is measured
        alone too, the others together.
    seed
        Seeds the bootstrap of the intervals.

    Raises
    ------
    AgreementError
        Where no passage was coded twice, or `by` is no column or has two values for a passage.
    """
    values = None if by is None else _values(codes, by)
    counts = np.zeros((len(codes.ids), len(codes.labels), 2))
    for code in (0, 1):
        np.add.at(counts[..., code], codes.passage, codes.values == code)
    twice = np.flatnonzero((counts.sum(axis=2) >= 2).any(axis=1))
    if not len(twice):
        raise AgreementError(
            f"no passage was coded by two coders: {len(codes.ids):,} passages, coders "
            f"{', '.join(codes.coders)}; passages are matched by id"
        )
    documents = np.array(codes.documents, object)

    def measured(part: str, passages: NDArray[np.intp]) -> Part:
        return _part(part, codes.labels, counts[passages], documents[passages], seed)

    parts = [measured("all", twice)]
    if values is not None:
        named = parts_by([values[i] for i in twice])
        parts += [measured(f"{by}={value}", twice[rows]) for value, rows in named]
    return Agreement(name, codes.coders, tuple(parts), tuple(_pairs(codes)), seed)


def krippendorff_alpha(counts: ArrayLike) -> float:
    """Krippendorff's alpha for nominal data, any number of coders, missing codes allowed.

    Parameters
    ----------
    counts
        (units, values): how many coders gave the unit the value.
    """
    matched, paired = _coincidences(np.asarray(counts, float))
    return float(_alpha(matched.sum(axis=0), paired.sum(axis=0)))


def _coincidences(counts: Floats) -> tuple[Floats, Floats]:
    """What each unit adds to the diagonal of the coincidence matrix, and to its margins.

    `counts` and both results are (..., values). A unit coded once adds nothing.
    """
    coders = counts.sum(axis=-1, keepdims=True)
    paired = np.where(coders >= 2, counts, 0.0)
    return paired * (paired - 1) / np.maximum(coders - 1, 1), paired


def _alpha(matched: Floats, paired: Floats) -> Floats:
    """Alpha from the diagonal and the margins, (..., values); NaN where all codes are the same."""
    n = paired.sum(axis=-1)
    observed = n - matched.sum(axis=-1)
    expected = (n**2 - (paired**2).sum(axis=-1)) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(expected > 0, 1 - observed / expected, np.nan))


def _part(
    name: str, labels: Sequence[str], counts: Floats, documents: NDArray[np.object_], seed: int
) -> Part:
    """Figures from the counts (passages, labels, 2) of no and yes."""
    drawn = Resamples.of(documents.tolist(), seed)
    sums = (drawn.totals(table.reshape(len(table), -1)) for table in _coincidences(counts))
    matched, paired = (total.reshape(-1, len(labels), 2) for total in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = paired.sum(axis=2)
        yes = paired[0, :, 1] / n[0]
        samples = np.stack(
            [
                _alpha(matched, paired),
                matched.sum(axis=2) / n,
                matched[..., 1] / paired[..., 1],
            ]
        )
    passages = (counts.sum(axis=2) >= 2).sum(axis=0).tolist()
    return Part(
        name=name,
        passages=len(counts),
        documents=drawn.events,
        labels={
            label: _figures(passages[j], float(yes[j]), samples[:, :, j])
            for j, label in enumerate(labels)
        },
        mean=_figures(len(counts), float(_mean(yes)), _mean(samples)),
    )


def _figures(passages: int, yes: float, samples: Floats) -> Figures:
    """Figures from the samples of the three, (3, 1 + resamples), the first the value."""
    return Figures(passages, yes, *(_bounded(estimate(s, passages, METHOD)) for s in samples))


def _bounded(found: Estimate) -> Estimate:
    """Without the interval of a figure that resampling cannot move, as where no coder differs."""
    if math.isnan(found.low) or found.low < found.high:
        return found
    return replace(found, low=math.nan, high=math.nan, method=NO_SPREAD)


def _pairs(codes: Codes) -> Iterator[Pair]:
    """Every two coders who coded a passage both, for a label at least."""
    order = np.lexsort((codes.coder, codes.passage))
    passage, coder, values = codes.passage[order], codes.coder[order], codes.values[order]
    lefts, rights = [], []
    # Rows of a passage stand together: its pairs are 1, 2, ... rows apart.
    for apart in range(1, int(np.bincount(passage).max())):
        left = np.flatnonzero(passage[apart:] == passage[:-apart])
        lefts.append(left)
        rights.append(left + apart)
    left, right = np.concatenate(lefts), np.concatenate(rights)
    both = values[left] + values[right]  # 0, 1 or 2 yeses; NaN where not both coded
    known = ~np.isnan(both)
    counts = np.where(known[..., None], np.stack([2 - both, both], axis=2), 0.0)
    names, pair = np.unique(np.stack([coder[left], coder[right]]), axis=1, return_inverse=True)
    pair = pair.reshape(-1)
    size = names.shape[1]
    matched, paired = np.zeros((2, size, *counts.shape[1:]))
    for total, each in zip((matched, paired), _coincidences(counts), strict=True):
        np.add.at(total, pair, each)
    passages = np.bincount(pair, known.any(axis=1), size).astype(int)
    alphas = _mean(_alpha(matched, paired))
    for i in np.argsort(-passages, kind="stable"):
        if passages[i]:
            first, second = (codes.coders[j] for j in names[:, i])
            yield Pair((first, second), int(passages[i]), float(alphas[i]))


def _values(codes: Codes, by: str) -> list[str]:
    """Each passage's value in a column; empty where none of its rows has one."""
    if by not in codes.columns:
        has = ", ".join(codes.columns) or "no columns beside ids and codes"
        if by in (ID, TEXT, DOCUMENT, CODER, LABELS, *codes.labels):
            raise AgreementError(
                f"column {by!r} cannot be used with --by, which takes a column beside ids, "
                f"documents, coders and codes; it has {has}"
            )
        raise AgreementError(f"no column {by!r} to break figures down by; it has {has}")
    values = [""] * len(codes.ids)
    for i, value in zip(codes.passage, codes.columns[by], strict=True):
        if value and values[i] not in ("", value):
            raise AgreementError(
                f"column {by!r} of passage {codes.ids[i]} is {values[i]!r} in one row and "
                f"{value!r} in another; to break down by it, a passage needs one value"
            )
        values[i] = value or values[i]
    return values


def _mean(table: Floats) -> Floats:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    known = (~np.isnan(table)).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(table, axis=-1) / known)


def _clean(value: float) -> float | None:
    return None if math.isnan(value) else value

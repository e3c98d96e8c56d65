"""How good the labels are: precision, recall, F1, ranking and calibration, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLES = 1000
BINS = 15
BLOCK = 2_000_000  # numbers of one block of resamples: bounds memory
METHOD = "document bootstrap, 1000 resamples, 95 % percentile interval"
SHIFTED = f"{METHOD}, shifted by the resampling bias"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval: a metric or a prevalence.

    `value` is NaN where the data do not define it, `low` and `high` where they cannot bound it.
    `n` is the number of passages behind it, `method` how the interval was made.
    """

    value: float
    low: float
    high: float
    n: int
    method: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; what is not defined is None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        clean = {name: None if math.isnan(x) else x for name, x in numbers.items()}
        return {**clean, "n": self.n, "method": self.method}


@dataclass(frozen=True, slots=True)
class Figures:
    """One label's figures, or their means over labels.

    `support` is the number of positives; over labels, their sum.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    average_precision: Estimate
    calibration_error: Estimate
    support: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        figures = {name: getattr(self, name).to_dict() for name in METRICS}
        return {**figures, "support": self.support}


METRICS = ("precision", "recall", "f1", "average_precision", "calibration_error")


@dataclass(frozen=True, slots=True)
class Report:
    """Figures for every label, in codebook order, and their unweighted means (macro)."""

    labels: Mapping[str, Figures]
    mean: Figures

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "labels": {name: figures.to_dict() for name, figures in self.labels.items()},
            "mean": self.mean.to_dict(),
        }


def measure(
    labels: Sequence[str],
    probabilities: ArrayLike,
    yes: ArrayLike,
    targets: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Report:
    """Measure decisions and probabilities against coders.

    The calibration error is the expected calibration error (Naeini et al. 2015) over 15 bins of
    equal mass (Nixon et al. 2019), equal probabilities in one bin; it is biased upwards where
    passages are few. Average precision steps through distinct probabilities, as scikit-learn's
    does. Intervals resample whole documents, all labels at once; that of the calibration error is
    moved down by the bias that resampling adds to it. A label without positives has a
    calibration error only and is left out of the other means; one that is never said yes to has
    a precision of 0.

    Parameters
    ----------
    labels
        The labels' names, in the order of the columns.
    probabilities, yes, targets
        (n, labels) each: calibrated probability, decision, and the share in [0, 1] that counts as
        positive (the rest of the passage counts as negative). NaN leaves the passage out for that
        label.
    groups
        The document of each passage; each its own where None.
    seed
        Seeds the resampling.
    """
    p, said = np.asarray(probabilities, float), np.asarray(yes, bool)
    y = np.asarray(targets, float)
    if not p.shape == said.shape == y.shape == (len(y), len(labels)):
        raise ValueError(
            f"probabilities {p.shape}, yes {said.shape} and targets {y.shape} must all be "
            f"(n, {len(labels)})"
        )
    known = ~np.isnan(y)
    sorted_labels = [
        _Sorted.of(p[rows, j], said[rows, j], y[rows, j], np.flatnonzero(rows))
        for j, rows in enumerate(known.T)
    ]
    samples = np.concatenate(
        [
            np.stack([label.figures(weights) for label in sorted_labels], axis=1)
            for weights in _resamples(len(y), groups, seed)
        ]
    )
    mean = _nanmean(samples, axis=1)
    n, support = known.sum(axis=0), np.nansum(y, axis=0)
    return Report(
        {
            name: _summarise(samples[:, j], int(n[j]), float(support[j]))
            for j, name in enumerate(labels)
        },
        _summarise(mean, int(known.any(axis=1).sum()), float(support.sum())),
    )


def _resamples(n: int, groups: ArrayLike | None, seed: int) -> Iterator[Floats]:
    """Blocks of weights (resamples, n): all ones first, then how often each row was drawn."""
    yield np.ones((1, n))
    group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(group.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // max(n, 1))
    for start in range(0, RESAMPLES if count else 0, block):
        size = min(block, RESAMPLES - start)
        drawn = rng.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times[:, group].astype(float)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """One label's passages sorted once by probability, so that each resample is only sums."""

    rows: NDArray[np.intp]  # of the weights, the most probable first
    starts: NDArray[np.intp]  # where each distinct probability begins
    p: Floats  # the distinct probabilities
    yes: Floats
    y: Floats

    @classmethod
    def of(cls, p: Floats, yes: NDArray[np.bool_], y: Floats, rows: NDArray[np.intp]) -> _Sorted:
        order = np.argsort(-p, kind="stable")
        p = p[order]
        starts = np.flatnonzero(np.diff(p, prepend=np.inf))
        return cls(rows[order], starts, p[starts], yes[order].astype(float), y[order])

    def figures(self, weights: Floats) -> Floats:
        """The five metrics, in the order of `METRICS`: (resamples, 5)."""
        if not len(self.rows):
            return np.full((len(weights), len(METRICS)), np.nan)
        w = weights[:, self.rows]
        wy = w * self.y
        hits, said, positives = wy @ self.yes, w @ self.yes, wy.sum(axis=1)
        # From here on one column for each distinct probability.
        w, wy = (np.add.reduceat(a, self.starts, axis=1) for a in (w, wy))
        found, taken = np.cumsum(wy, axis=1), np.cumsum(w, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            defined = np.where(positives > 0, 1.0, np.nan)
            precision = np.where(said > 0, hits / said, 0.0) * defined
            recall = hits / positives * defined
            f1 = 2 * hits / (said + positives) * defined
            steps = np.where(taken > 0, wy * found / taken, 0.0)
            average_precision = steps.sum(axis=1) / positives * defined
            return np.column_stack(
                [precision, recall, f1, average_precision, self._calibration_error(w, wy, taken)]
            )

    def _calibration_error(self, w: Floats, wy: Floats, taken: Floats) -> Floats:
        """Mean gap between probability and share of positives over bins of equal mass."""
        total = taken[:, -1:]
        middle = (taken - w / 2) / np.where(total > 0, total, 1.0)
        bins = np.minimum((middle * BINS).astype(int), BINS - 1)
        bins += BINS * np.arange(len(w))[:, None]
        gaps = np.bincount(bins.ravel(), (w * self.p - wy).ravel(), BINS * len(w))
        return np.asarray(np.abs(gaps).reshape(len(w), BINS).sum(axis=1) / total[:, 0])


def _summarise(samples: Floats, n: int, support: float) -> Figures:
    """Figures from the samples of the five metrics, (1 + resamples, 5), the first the value."""
    precision, recall, f1, average_precision, error = (_estimate(s, n) for s in samples.T)
    error = _unbiased(samples[:, -1], error)
    return Figures(precision, recall, f1, average_precision, error, support)


def _estimate(samples: Floats, n: int) -> Estimate:
    value, draws = float(samples[0]), samples[1:]
    draws = draws[~np.isnan(draws)]
    if math.isnan(value) or not len(draws):
        return Estimate(value, math.nan, math.nan, n, METHOD)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n, METHOD)


def _unbiased(samples: Floats, estimate: Estimate) -> Estimate:
    """Move the interval of a figure that grows under resampling, as gaps in bins do."""
    if math.isnan(estimate.low):
        return estimate
    bias = float(_nanmean(samples[1:], axis=0)) - estimate.value
    low, high = max(0.0, estimate.low - bias), max(estimate.value, estimate.high - bias)
    return Estimate(estimate.value, min(low, estimate.value), high, estimate.n, SHIFTED)


def _nanmean(a: Floats, axis: int) -> Floats:
    """Mean of what is defined; NaN, without a warning, where nothing is."""
    count = (~np.isnan(a)).sum(axis=axis)
    return np.asarray(np.where(count > 0, np.nansum(a, axis=axis) / np.maximum(count, 1), np.nan))

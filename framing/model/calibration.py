"""From logits to calibrated probabilities, thresholds and an honest "unsure"."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framing.model.scored import Decision

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_POSITIVES = 5  # below this many, held-out data say nothing about a threshold
MIN_SLOPE = 0.01  # calibration never turns a ranking around
DECIDED_ERROR = 0.05
MAX_SET_ASIDE = 0.5


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """How one label's logit becomes a probability, and the probability a decision.

    The probability is ``sigmoid(slope * logit + intercept)``. It is unsure in
    ``unsure_low <= p < unsure_high``, else yes from `threshold` up and no below it. A band whose
    edges both equal the threshold is empty.
    """

    slope: float
    intercept: float
    threshold: float
    unsure_low: float
    unsure_high: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if not abs(value) <= sys.float_info.max:  # NaN and integers beyond it too
                raise ValueError(f"{name} must be finite, not {value!r}")
        if self.slope <= 0:
            raise ValueError(f"slope must be above 0, not {self.slope!r}")
        if not 0 <= self.unsure_low <= self.threshold <= self.unsure_high <= 1:
            raise ValueError(
                "0 <= unsure_low <= threshold <= unsure_high <= 1 must hold, not "
                f"{self.unsure_low!r}, {self.threshold!r}, {self.unsure_high!r}"
            )

    def decide(self, probability: float) -> Decision:
        """Yes, no or unsure for one calibrated probability."""
        if self.unsure_low <= probability < self.unsure_high:
            return Decision.UNSURE
        return Decision.YES if probability >= self.threshold else Decision.NO


class Decisions(Mapping[str, LabelDecision]):
    """One `LabelDecision` per label, in codebook order.

    Arrays below are (passages, labels) with the labels in that order.
    """

    def __init__(self, labels: Mapping[str, LabelDecision]) -> None:
        self._labels = dict(labels)
        columns = {f.name: [getattr(d, f.name) for d in labels.values()] for f in _FIELDS}
        self._columns = {name: np.array(column, float) for name, column in columns.items()}

    def __getitem__(self, label: str) -> LabelDecision:
        return self._labels[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return f"Decisions({self._labels!r})"

    @property
    def thresholds(self) -> dict[str, float]:
        """The calibrated probability from which each label holds."""
        return {label: decision.threshold for label, decision in self._labels.items()}

    def calibrate(self, logits: ArrayLike) -> Floats:
        """Calibrated probabilities of (passages, labels) logits."""
        return sigmoid(
            np.asarray(logits, float) * self._columns["slope"] + self._columns["intercept"]
        )

    def yes(self, probabilities: Floats) -> Bools:
        """Where the label holds at its threshold, sure or not."""
        return np.asarray(probabilities >= self._columns["threshold"])

    def unsure(self, probabilities: Floats) -> Bools:
        """Where the probability falls into the label's unsure band."""
        low, high = self._columns["unsure_low"], self._columns["unsure_high"]
        return np.asarray((probabilities >= low) & (probabilities < high))

    def to_json(self) -> str:
        """The decisions as JSON text; reading it back gives equal numbers."""
        table = {label: asdict(decision) for label, decision in self._labels.items()}
        return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, labels: Sequence[str]) -> Decisions:
        """Read `to_json`'s text, which must hold exactly `labels` and nothing else.

        Raises
        ------
        ValueError
            One line that names the label and the field at fault.
        """
        try:
            table = json.loads(text, object_pairs_hook=_no_duplicates)
        except (RecursionError, UnicodeDecodeError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(table, dict):
            raise ValueError("must be a JSON object: label to numbers")
        if list(table) != list(labels):
            raise ValueError(f"must hold the labels {list(labels)} in order, not {list(table)}")
        names = {f.name for f in _FIELDS}
        for label, row in table.items():
            if not isinstance(row, dict) or set(row) != names:
                raise ValueError(f"{label}: must hold exactly the numbers {sorted(names)}")
        return cls({label: _checked(label, row) for label, row in table.items()})


_FIELDS = fields(LabelDecision)


def _checked(label: str, row: Mapping[str, float]) -> LabelDecision:
    try:
        return LabelDecision(**row)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return table


def sigmoid(x: Floats) -> Floats:
    """The logistic function, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def fit_decisions(
    logits: ArrayLike,
    targets: ArrayLike,
    known: ArrayLike | None,
    labels: Sequence[str],
    *,
    weights: ArrayLike | None = None,
) -> Decisions:
    """Fit calibration, thresholds and unsure bands on held-out logits.

    Parameters
    ----------
    logits
        (n, labels) scores of passages that the model was *not* trained on.
    targets
        (n, labels), the share of coders who said yes, in [0, 1]; NaN is not coded.
    known
        (n, labels), False where the target is not to be used; None uses every target that is
        not NaN.
    labels
        The labels' names, in the order of the columns.
    weights
        (n,) how much each passage counts, to undo an enriched sample; equal by default.

    Returns
    -------
    Decisions
        A label with nothing known, hardly a yes or hardly a no gets a threshold of .5 and no
        band: the data cannot support one.
    """
    z = np.asarray(logits, float)
    y = np.asarray(targets, float)
    if z.shape != y.shape or z.ndim != 2 or z.shape[1] != len(labels):
        raise ValueError(f"logits {z.shape} and targets {y.shape} must be (n, {len(labels)})")
    if not np.isfinite(z).all():
        raise ValueError("logits must be finite")
    mask = ~np.isnan(y) if known is None else np.asarray(known, bool) & ~np.isnan(y)
    w = np.ones(len(z)) if weights is None else np.asarray(weights, float)
    if w.shape != (len(z),) or not (w > 0).all():
        raise ValueError(f"weights must be {len(z)} numbers above 0")
    return Decisions(
        {
            label: _fit_label(z[m, j], y[m, j], w[m])
            for j, (label, m) in enumerate(zip(labels, mask.T, strict=True))
        }
    )


def _fit_label(z: Floats, y: Floats, w: Floats) -> LabelDecision:
    slope, intercept = platt(z, y, w)
    if min(y.sum(), (1 - y).sum()) < MIN_POSITIVES:
        return LabelDecision(slope, intercept, 0.5, 0.5, 0.5)
    p = sigmoid(slope * z + intercept)
    threshold = best_threshold(p, w)
    return LabelDecision(slope, intercept, threshold, *unsure_band(p, y, w, threshold))


def best_threshold(p: Floats, weights: Floats) -> float:
    """The cut on calibrated probabilities that maximises the F1 they lead one to expect.

    Saying yes to the passages above a cut is expected to find the sum of their probabilities in
    true yeses (Lewis 1995; Ye et al. 2012, "Optimizing F-measures"). The targets enter through
    the calibration alone, so the cut does not chase single passages: cross-validated on the core
    training file, its macro-F1 is .002 to .006 above that of the empirically best cut, and within
    -.001 to +.003 of that of the best cut's mean over bootstrap resamples; it gains most where
    positives are few.

    Parameters
    ----------
    p, weights
        (n,) each, n above 0.
    """
    order = np.argsort(-p, kind="stable")
    p, weights = p[order], weights[order]
    yes = weights * p
    f1 = 2 * np.cumsum(yes) / (np.cumsum(weights) + yes.sum())
    f1[:-1][p[:-1] == p[1:]] = -1  # equal probabilities cannot be cut apart
    last = int(np.argmax(f1))
    return float((p[last] + p[min(last + 1, len(p) - 1)]) / 2)


def unsure_band(
    p: Floats, targets: Floats, weights: Floats, threshold: float
) -> tuple[float, float]:
    """Edges of the unsure band: the riskiest decisions are set aside until few others are wrong.

    Chow's rule (Chow 1970, "On optimum recognition error and reject tradeoff"): with a calibrated
    probability p the better of the two decisions is wrong with probability ``min(p, 1 - p)``, and
    those with the highest are rejected first. The band is the smallest that leaves at most
    `DECIDED_ERROR` of the decided passages wrong, and sets `MAX_SET_ASIDE` of all aside where that
    cannot be had. A yes is always more likely than not: from the threshold to .5 is unsure.

    Parameters
    ----------
    p, targets, weights
        (n,) each: calibrated probabilities, shares of coders who said yes, and weights.

    Returns
    -------
    low, high
        With ``0 <= low <= threshold <= high <= 1``.
    """
    risk = np.minimum(p, 1 - p)
    order = np.argsort(risk, kind="stable")
    risk = risk[order]
    wrong = np.cumsum(np.where(p >= 0.5, 1 - targets, targets)[order] * weights[order])
    decided = np.cumsum(weights[order])
    # Equal risks cannot be cut apart; after the last passage nothing is set aside.
    cuts = np.flatnonzero(np.append(risk[1:] > risk[:-1], True))
    cuts = cuts[decided[cuts] >= (1 - MAX_SET_ASIDE) * decided[-1]]
    allowed = cuts[wrong[cuts] <= DECIDED_ERROR * decided[cuts]]
    last = allowed[-1] if len(allowed) else cuts[0]
    edge = 0.5 if last == len(p) - 1 else float((risk[last] + risk[last + 1]) / 2)
    return min(edge, threshold), max(1 - edge, threshold)


def platt(logits: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
    """Slope and intercept of Platt scaling, the slope above 0.

    Maximum likelihood with Platt's smoothed targets (Platt 1999, "Probabilistic outputs for
    support vector machines") by Newton's method, and a penalty of ``(slope - 1)² / 2``, worth
    less than a handful of passages, so that a rare label's slope cannot run away.

    Parameters
    ----------
    logits, targets, weights
        (n,) each; targets in [0, 1].
    """
    if len(logits) == 0:
        return 1.0, 0.0
    weights = weights / weights.mean()
    positives, negatives = weights @ targets, weights @ (1 - targets)
    t = targets * (positives + 1) / (positives + 2) + (1 - targets) / (negatives + 2)
    prior = (positives + 1) / (positives + negatives + 2)
    start = np.array([1.0, math.log(prior / (1 - prior)) - weights @ logits / len(logits)])

    def newton(x: Floats, slope_is_free: bool) -> Floats:
        free = np.array([slope_is_free, True])
        design = np.column_stack([logits, np.ones_like(logits)])[:, free]
        penalty = np.array([1.0, 0.0])[free]
        cost = _penalised_loss(x, logits, t, weights)
        for _ in range(100):
            p = sigmoid(x[0] * logits + x[1])
            gradient = design.T @ (weights * (p - t)) + penalty * (x[free] - 1.0)
            curvature = (design * (weights * p * (1 - p))[:, None]).T @ design
            curvature += np.diag(penalty + 1e-9)
            step = np.zeros(2)
            step[free] = np.linalg.solve(curvature, gradient)
            while (lower := _penalised_loss(x - step, logits, t, weights)) > cost:
                step /= 2
                if np.abs(step).max() < 1e-10:
                    return x
            x, cost = x - step, lower
            if np.abs(step).max() < 1e-9:
                break
        return x

    fitted = newton(start, slope_is_free=True)
    if fitted[0] < MIN_SLOPE:  # the model ranks this label no better than at random
        fitted = newton(np.array([MIN_SLOPE, start[1]]), slope_is_free=False)
    return float(fitted[0]), float(fitted[1])


def _penalised_loss(x: Floats, z: Floats, t: Floats, w: Floats) -> float:
    margin = x[0] * z + x[1]
    return float(w @ (np.logaddexp(0.0, margin) - t * margin) + (x[0] - 1.0) ** 2 / 2)

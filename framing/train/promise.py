"""What a first stage may keep, and what it then promises: agreement, yeses lost, speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framing.model.first_stage import expected_changes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

YES = 1
MOST_LOST = 3  # times the decisions that may differ: of a label's yeses, those that may be missed
_FEW = 20  # yeses; of fewer nothing can be said
_CAUTION = 1.645  # standard errors: the promise holds for 95 of 100 samples of outlets
_SHARES = np.linspace(0, 1, 501)[1:]  # of passages that might be kept
_CURVE = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Answers:
    """What two stages decide: (n, labels) each, 0 no, 1 yes, 2 unsure.

    `risks` are how likely each of the first's is to differ, as (n, labels), and infinite where it
    must not decide; `outlets` are whose passages they are.
    """

    first: NDArray[np.int8]
    full: NDArray[np.int8]
    risks: Floats
    outlets: NDArray[Any]

    @property
    def expected(self) -> Floats:
        """How many labels are expected to differ, (n,)."""
        return expected_changes(self.risks)

    @property
    def differ(self) -> Floats:
        """The share of a passage's decisions that differ, (n,)."""
        return np.asarray((self.first != self.full).mean(axis=1))


@dataclass(frozen=True, slots=True)
class Point:
    """Where the first stage keeps a share of the passages: what comes of it.

    `agreement` is of the decisions on passages that are kept, `same` the share of those passages
    on which all are the same, `opposite` the share of decisions that are yes for no or no for yes,
    `speed` how many times as fast the scoring is as by the encoder alone.
    """

    kept: float
    agreement: float
    same: float
    opposite: float
    speed: float


@dataclass(frozen=True, slots=True)
class LabelPoint:
    """One label where the first stage does what it does.

    `prevalence` and `fast_prevalence` are the shares of all passages that have it, by the encoder
    and by a fast run; `yes_kept` is how many yeses of the encoder are in passages that are kept,
    `yes_given` the share of those that the first stage gives too, `lost` the share of all the
    encoder's yeses that a fast run misses (NaN where there is none).
    """

    agreement: float
    prevalence: float
    fast_prevalence: float
    yes_kept: int
    yes_given: float
    lost: float


@dataclass(frozen=True, slots=True)
class Promise:
    """A first stage's figures on outlets that nothing was learned from or chosen on.

    Attributes
    ----------
    asked
        The agreement that was asked for.
    point, low, high
        What it does, and the 95 % interval of the agreement (bootstrap by outlet).
    curve
        What it would do if it kept more or less.
    alone
        The share of single decisions, in passages kept or not, that could be made at `asked`.
    speeds
        Passages a second of the first stage and of the encoder, on this machine.
    passages
        How many it was measured on, learned from, and its certainty chosen on.
    outlets
        Those it was measured on.
    """

    asked: float
    point: Point
    low: float
    high: float
    curve: tuple[Point, ...]
    labels: Mapping[str, LabelPoint]
    alone: float
    speeds: tuple[float, float]
    passages: tuple[int, int, int]
    outlets: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data; what is not defined is None."""
        clean: dict[str, Any] = _clean(asdict(self))
        return clean


def allowed(answers: Answers, agreement: float) -> float | None:
    """The most changes that may be expected of a passage that is kept; None where none may be.

    So many passages are kept that the share of different decisions, at the upper end of its
    confidence interval by outlet, is what is allowed, and that no label loses more than `MOST_LOST`
    times that share of its yeses: a rare one could vanish and the agreement not show it.
    """
    order = np.argsort(answers.expected, kind="stable")
    expected, differ = answers.expected[order], answers.differ[order]
    outlets = np.unique(answers.outlets, return_inverse=True)[1][order]
    yes = answers.full[order] == YES
    most_lost = np.maximum(1, MOST_LOST * (1 - agreement) * yes.sum(axis=0))
    lost = np.cumsum(yes & (answers.first[order] != YES), axis=0)
    many = yes.sum(axis=0) >= _FEW
    best = None
    for n in np.unique(np.rint(_SHARES * len(order)).astype(int)).tolist():
        if n == 0 or not np.isfinite(expected[n - 1]):
            continue
        vanishing = many & (lost[n - 1] > most_lost)
        if _cautious(differ[:n], outlets[:n]) <= 1 - agreement and not vanishing.any():
            best = float(expected[n - 1])
    return best


def measure_promise(
    labels: Sequence[str],
    answers: Answers,
    at_most: float,
    *,
    agreement: float,
    speeds: tuple[float, float],
    learned_from: int,
    chosen_on: int,
) -> Promise:
    """Measure what a first stage does that keeps what it expects `at_most` changes of."""
    kept = answers.expected <= at_most
    order = np.argsort(answers.expected, kind="stable")
    curve = []
    for share in _CURVE:
        chosen = np.zeros(len(order), bool)
        chosen[order[: round(share * len(order))]] = True
        curve.append(_point(answers, chosen & np.isfinite(answers.expected), speeds))
    low, high = _interval(answers.differ[kept], answers.outlets[kept])
    return Promise(
        asked=agreement,
        point=_point(answers, kept, speeds),
        low=1 - high,
        high=1 - low,
        curve=tuple(curve),
        labels={
            label: _of_label(answers.first[:, j], answers.full[:, j], kept)
            for j, label in enumerate(labels)
        },
        alone=_alone(answers, agreement),
        speeds=speeds,
        passages=(len(kept), learned_from, chosen_on),
        outlets=tuple(np.unique(answers.outlets).tolist()),
    )


def _point(answers: Answers, kept: Bools, speeds: tuple[float, float]) -> Point:
    first, full = answers.first[kept], answers.full[kept]
    share, same = float(kept.mean()), first == full
    quick, slow = speeds
    return Point(
        kept=share,
        agreement=_mean(same),
        same=_mean(same.all(axis=1)),
        opposite=_mean((first + full == YES) & ~same),
        speed=1 / (1 - share + slow / quick),
    )


def _of_label(first: NDArray[np.int8], full: NDArray[np.int8], kept: Bools) -> LabelPoint:
    fast = np.where(kept, first, full)
    yes = full == YES
    given = fast == YES
    return LabelPoint(
        agreement=_mean(first[kept] == full[kept]),
        prevalence=_mean(yes),
        fast_prevalence=_mean(given),
        yes_kept=int((yes & kept).sum()),
        yes_given=_mean(given[yes & kept]),
        lost=_mean(~given[yes]),
    )


def _alone(answers: Answers, agreement: float) -> float:
    """The largest share of single decisions, the least risky, that has this agreement."""
    order = np.argsort(answers.risks, axis=None, kind="stable")
    differ = (answers.first != answers.full).ravel()[order]
    within = np.cumsum(differ) <= (1 - agreement) * np.arange(1, len(differ) + 1)
    return float((np.flatnonzero(within).max(initial=-1) + 1) / len(differ))


def _cautious(differ: Floats, outlets: NDArray[np.intp]) -> float:
    """The upper end of the mean's one-sided interval, by outlet (a ratio's linearised error)."""
    mean = float(differ.mean())
    off = np.bincount(outlets, differ - mean)
    return mean + _CAUTION * float(np.sqrt((off**2).sum())) / len(differ)


def _interval(differ: Floats, outlets: NDArray[Any]) -> tuple[float, float]:
    """The mean's 95 % percentile interval over resamples of outlets."""
    if not len(differ):
        return float("nan"), float("nan")
    groups = np.unique(outlets, return_inverse=True)[1]
    sums, sizes = np.bincount(groups, differ), np.bincount(groups)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(sums), (_RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _clean(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value

"""What must follow from a change: judges of cases that a model has scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framing.model.metrics import Estimate
from framing.study.probes import Case
from framing.study.resample import Resamples, estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ANY, MEAN = "any label", "mean of labels"
BATCH = 256
MISSES_KEPT = 5


class Audited(Protocol):
    """What can be audited: a model as `framing.load` gives it, or anything like it."""

    @property
    def labels(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def thresholds(self) -> Mapping[str, float]: ...  # noqa: D102

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Requirement:
    """One figure held against its limit; `label` is the label it is the worst of, if any."""

    measure: str
    estimate: Estimate
    limit: float
    at_most: bool
    label: str | None = None

    @property
    def met(self) -> bool:
        """Whether the figure itself keeps to the limit; one that is not defined does not."""
        value = self.estimate.value
        return value <= self.limit if self.at_most else value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        bound = "at_most" if self.at_most else "at_least"
        row = {"measure": self.measure, "estimate": self.estimate.to_dict(), bound: self.limit}
        return {**row, "label": self.label, "met": self.met}


@dataclass(frozen=True, slots=True)
class Miss:
    """A case that went wrong for a label, with its probability before and after the change."""

    label: str
    before: str
    after: str
    p_before: float
    p_after: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge finds.

    `figures` are by measure and label, where "any label" counts a case once whichever label it
    is; `blame` is (cases, labels): how clearly the case went wrong, 0 where it did not.
    """

    requirements: tuple[Requirement, ...]
    figures: Mapping[str, Mapping[str, Estimate]]
    blame: Floats


Judge = Callable[["Scored", Resamples], Verdict]


@dataclass(frozen=True, slots=True)
class Scored:
    """Cases with what the model makes of them, (cases, labels) each.

    A label holds where its probability reaches its threshold, sure or not.
    """

    labels: tuple[str, ...]
    cases: Sequence[Case]
    p_before: Floats
    p_after: Floats
    before: Bools
    after: Bools

    @property
    def shift(self) -> Floats:
        """How far each probability moved."""
        return np.abs(self.p_after - self.p_before)

    def misses(self, blame: Floats) -> tuple[Miss, ...]:
        """The clearest of the cases that went wrong, each by its clearest label."""
        worst = blame.argmax(axis=1)
        rows = np.argsort(-blame.max(axis=1), kind="stable")[:MISSES_KEPT]
        return tuple(
            Miss(
                self.labels[worst[i]],
                self.cases[i].before,
                self.cases[i].after,
                float(self.p_before[i, worst[i]]),
                float(self.p_after[i, worst[i]]),
            )
            for i in rows
            if blame[i].any()
        )


def score(
    model: Audited,
    parts: Sequence[Sequence[Case]],
    on_scored: Callable[[int, int], None] | None = None,
) -> list[Scored]:
    """Score the cases of each part; a passage that stands in several is scored once."""
    texts = list(
        dict.fromkeys(
            text for cases in parts for case in cases for text in (case.before, case.after)
        )
    )
    rows = []
    for start in range(0, len(texts), BATCH):
        rows.append(np.asarray(model.predict_proba(texts[start : start + BATCH]), float))
        if on_scored is not None:
            on_scored(min(start + BATCH, len(texts)), len(texts))
    p = np.concatenate(rows)
    labels = tuple(model.labels)
    yes = p >= np.array([model.thresholds[label] for label in labels])
    place = {text: i for i, text in enumerate(texts)}

    def of(cases: Sequence[Case]) -> Scored:
        before = [place[case.before] for case in cases]
        after = [place[case.after] for case in cases]
        return Scored(labels, cases, p[before], p[after], yes[before], yes[after])

    return [of(cases) for cases in parts]


def steady(max_flips: float, max_shift: float | None = None, spared: Sequence[str] = ()) -> Judge:
    """No label may change, save the spared ones; the worst label decides."""

    def judge(scored: Scored, resamples: Resamples) -> Verdict:
        held = [label for label in scored.labels if label not in spared]
        flips = scored.before != scored.after
        wrong = flips & np.isin(scored.labels, held)
        every = np.ones_like(flips)
        own = every & np.array([[case.own] for case in scored.cases])
        by_label = _named(scored.labels, resamples.share(flips, every))
        shifts = _named(scored.labels, resamples.mean(scored.shift, every))
        requirements = [_worst("flips", by_label, held, max_flips)]
        if max_shift is not None:
            requirements.append(_worst("shift", shifts, held, max_shift))
        figures = {"flips": {**by_label, ANY: _rate(resamples, wrong)}, "shift": shifts}
        if own.any() and not own.all():  # a model may have been trained on the corpus
            figures["flips, own passages"] = _named(scored.labels, resamples.share(flips, own))
        return Verdict(tuple(requirements), figures, wrong * scored.shift)

    return judge


def comes(label: str, least: float) -> Judge:
    """The label must be absent before and there after."""

    def judge(scored: Scored, resamples: Resamples) -> Verdict:
        came = ~scored.before & scored.after
        ours = np.isin(scored.labels, [label])
        found = _rate(resamples, came & ours)
        blame = (~came & ours) * (2 - scored.shift)  # what hardly moved went wrong most
        return Verdict((_least("comes in", found, least),), {"comes in": {label: found}}, blame)

    return judge


def goes(labels: Sequence[str], least: float) -> Judge:
    """Of the passages that had any of the labels, none may be left of those they had."""

    def judge(scored: Scored, resamples: Resamples) -> Verdict:
        had = scored.before & np.isin(scored.labels, labels)
        left = had & scored.after
        found = resamples.share(~_any(left), _any(had))[0]
        gone = _chosen(labels, scored.labels, resamples.share(~left, had))
        figures = {"goes out": {**gone, ANY: found}}
        return Verdict((_least("goes out", found, least),), figures, left * scored.p_after)

    return judge


def free(labels: Sequence[str], least: float) -> Judge:
    """None of the labels may hold."""

    def judge(scored: Scored, resamples: Resamples) -> Verdict:
        held = scored.after & np.isin(scored.labels, labels)
        found = _rate(resamples, ~_any(held))
        shares = resamples.share(~held, np.ones_like(held))
        figures = {"free": {**_chosen(labels, scored.labels, shares), ANY: found}}
        return Verdict((_least("free", found, least),), figures, held * scored.p_after)

    return judge


def spelt(max_lost: float, coded: bool) -> Judge:
    """F1 may fall by so much, against the cases' labels or against the decisions before."""

    def judge(scored: Scored, resamples: Resamples) -> Verdict:
        codes = [[label in case.labels for label in scored.labels] for case in scored.cases]
        truth = np.array(codes) if coded else scored.before
        clean = _f1(resamples, truth, scored.before)
        lost = clean - _f1(resamples, truth, scored.after)
        support = truth.sum(axis=0).tolist()
        figures = {
            measure: {
                **_named(scored.labels, list(map(estimate, samples.T, support))),
                MEAN: estimate(_mean_of_known(samples), len(truth)),
            }
            for measure, samples in (("F1 lost", lost), ("F1 clean", clean))
        }
        wrong = (scored.before == truth) & (scored.after != truth)
        requirement = Requirement("F1 lost", figures["F1 lost"][MEAN], max_lost, at_most=True)
        return Verdict((requirement,), figures, wrong * scored.shift)

    return judge


def _f1(resamples: Resamples, truth: Bools, yes: Bools) -> Floats:
    """F1 of each label in each resample; NaN where the label never holds."""
    positives = resamples.totals(truth)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * resamples.totals(truth & yes) / (positives + resamples.totals(yes))
        return np.asarray(np.where(positives > 0, f1, math.nan))


def _mean_of_known(samples: Floats) -> Floats:
    """Mean over labels in each resample, without those whose F1 is not defined there."""
    known = (~np.isnan(samples)).sum(axis=1)
    return np.where(known > 0, np.nansum(samples, axis=1) / np.maximum(known, 1), math.nan)


def _rate(resamples: Resamples, hits: Bools) -> Estimate:
    """The share of cases that are a hit for any label."""
    return resamples.share(_any(hits), np.ones((len(hits), 1)))[0]


def _any(table: Bools) -> Bools:
    """Whether any column holds, as a column."""
    return np.asarray(table.any(axis=1))[:, None]


def _named(labels: Sequence[str], found: Sequence[Estimate]) -> dict[str, Estimate]:
    return dict(zip(labels, found, strict=True))


def _chosen(
    labels: Sequence[str], all_labels: Sequence[str], found: Sequence[Estimate]
) -> dict[str, Estimate]:
    """The figures of some of the labels, in their order."""
    named = _named(all_labels, found)
    return {label: named[label] for label in labels}


def _worst(
    measure: str, found: Mapping[str, Estimate], labels: Sequence[str], limit: float
) -> Requirement:
    """The requirement on the label that changes most."""
    label = max(labels, key=lambda each: found[each].value)
    return Requirement(measure, found[label], limit, at_most=True, label=label)


def _least(measure: str, found: Estimate, limit: float) -> Requirement:
    return Requirement(measure, found, limit, at_most=False)

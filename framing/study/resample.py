"""Shares and means over cases, with intervals that resample whole events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from framing.model.metrics import RESAMPLES, Estimate

Floats = NDArray[np.float64]

METHOD = f"event bootstrap, {RESAMPLES} resamples, 95 % percentile interval"
EXACT = "no event differs: exact binomial bound over events, 97.5 % one-sided"


@dataclass(frozen=True, slots=True)
class Resamples:
    """How often each event is drawn: the first row is one of each, the others are resamples."""

    event: NDArray[np.intp]  # of each case
    weights: Floats  # (1 + resamples, events)

    @classmethod
    def of(cls, events: Sequence[str], seed: int) -> Resamples:
        """Draw the resamples; `events` names the event of each case."""
        names, event = np.unique(np.array(events, object), return_inverse=True)
        count = len(names)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
        return cls(event, np.vstack([np.ones(count), drawn]))

    @property
    def events(self) -> int:
        """How many events there are."""
        return len(self.weights[0])

    def totals(self, values: ArrayLike) -> Floats:
        """Sums over cases in each resample; `values` is (cases, columns)."""
        values = np.asarray(values, float)
        sums = np.zeros((self.events, values.shape[1]))
        np.add.at(sums, self.event, values)
        return self.weights @ sums

    def mean(self, values: ArrayLike, counted: ArrayLike) -> list[Estimate]:
        """For each column the mean of `values` over the cases that are `counted`."""
        values, known = np.asarray(values, float), np.asarray(counted, bool)
        with np.errstate(invalid="ignore", divide="ignore"):
            samples = self.totals(values * known) / self.totals(known)
        return [estimate(samples[:, j], int(known[:, j].sum())) for j in range(samples.shape[1])]

    def share(self, hits: ArrayLike, counted: ArrayLike) -> list[Estimate]:
        """For each column the share of the `counted` cases that are `hits`.

        Where all or none are, resampling shows no spread; the interval is then that of a share of
        0 in as many independent events.
        """
        known = np.asarray(counted, bool)
        return [self._bounded(found, known[:, j]) for j, found in enumerate(self.mean(hits, known))]

    def _bounded(self, found: Estimate, counted: NDArray[np.bool_]) -> Estimate:
        if found.value not in (0.0, 1.0):
            return found
        room = 1 - 0.025 ** (1 / len(np.unique(self.event[counted])))
        low, high = (0.0, room) if found.value == 0 else (1 - room, 1.0)
        return Estimate(found.value, low, high, found.n, EXACT)


def estimate(samples: Floats, n: int, method: str = METHOD) -> Estimate:
    """The first sample with the interval of the others; what is not defined is left out of it."""
    value, draws = float(samples[0]), samples[1:][~np.isnan(samples[1:])]
    if math.isnan(value) or not len(draws):
        return Estimate(value, math.nan, math.nan, n, method)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n, method)

"""How well a model does what coders did, on all passages and on parts of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framing.codebook.coded import Coded
from framing.model.calibration import Decisions
from framing.model.metrics import Estimate, Figures, Report, measure

Floats = NDArray[np.float64]

MIN_SLICE = 30  # passages; smaller parts are measured together
OTHERS = "others"


class Labeller(Protocol):
    """What can be evaluated: a model as `framing.load` gives it, or anything like it."""

    @property
    def labels(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def decisions(self) -> Decisions: ...  # noqa: D102

    def predict_proba(self, texts: Sequence[str]) -> NDArray[Any]: ...  # noqa: D102


class EvaluationError(ValueError):
    """A model and coded passages that cannot be held against each other."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Figures on a part of the passages.

    Attributes
    ----------
    name
        "all", or the column and its value ("drawn=random").
    passages, documents
        How many there are.
    report
        Every passage decided at its label's threshold. A label holds where at least half of the
        coders said yes.
    decided
        The same without the passages that the model is unsure of, label by label.
    unsure
        The share of passages set aside as unsure, by label.
    wrong
        The share of decided passages decided wrongly, by label; NaN where none is decided.
    rules
        The means of `report` under other readings of coders who disagree; empty where none do.
        "each coder": every passage counts once for each coder, as the expected agreement with one
        of them drawn at random. "agreed": passages they disagree on are left out.
    """

    name: str
    passages: int
    documents: int
    report: Report
    decided: Report
    unsure: Mapping[str, float]
    wrong: Mapping[str, float]
    rules: Mapping[str, Figures]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "name": self.name,
            "passages": self.passages,
            "documents": self.documents,
            "all": self.report.to_dict(),
            "decided": self.decided.to_dict(),
            "unsure": _clean(self.unsure),
            "decided_wrong": _clean(self.wrong),
            "rules": {name: figures.to_dict() for name, figures in self.rules.items()},
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's figures on coded passages: all of them first, then the parts asked for."""

    model: str
    examples: str
    seed: int
    slices: tuple[Slice, ...]

    @property
    def overall(self) -> Slice:
        """All passages."""
        return self.slices[0]

    @property
    def macro_f1(self) -> Estimate:
        """Mean F1 over labels, on all passages."""
        return self.overall.report.mean.f1

    @property
    def mean_average_precision(self) -> Estimate:
        """Mean average precision over labels, on all passages."""
        return self.overall.report.mean.average_precision

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "model": self.model,
            "examples": self.examples,
            "seed": self.seed,
            "slices": [part.to_dict() for part in self.slices],
        }


def evaluate(
    model: Labeller,
    examples: Coded,
    *,
    name: str = "model",
    examples_name: str = "examples",
    by: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure a model on passages that it was not trained on.

    Parameters
    ----------
    model
        Labels the texts; a label of its that was not coded is measured on nothing.
    examples
        Coded passages, from `framing.codebook.coded.read_coded`.
    name, examples_name
        What tables call the two.
    by
        A column of the examples ("publisher", "drawn"): each of its values with at least 30
        passages is measured alone too, the others together.
    seed
        Seeds the bootstrap of the intervals.

    Raises
    ------
    EvaluationError
        Where no label of the model was coded, or `by` is no column of the examples.
    """
    labels = tuple(model.labels)
    targets = _targets(examples, labels)
    if by is not None and by not in examples.columns:
        has = ", ".join(examples.columns) or "no columns beside text and codes"
        raise EvaluationError(f"no column {by!r} to break figures down by; it has {has}")
    probabilities = np.asarray(model.predict_proba(examples.texts), float)
    documents = np.unique(examples.groups, return_inverse=True)[1]

    def measured(part: str, rows: NDArray[np.intp]) -> Slice:
        return _slice(
            part, labels, model.decisions, probabilities[rows], targets[rows], documents[rows], seed
        )

    slices = [measured("all", np.arange(len(examples)))]
    if by is not None:
        slices += [
            measured(f"{by}={value}", rows) for value, rows in parts_by(examples.columns[by])
        ]
    return Evaluation(name, examples_name, seed, tuple(slices))


def _targets(examples: Coded, labels: Sequence[str]) -> Floats:
    """The coders' shares, (n, labels) in the model's order, NaN for a label they did not code."""
    targets = np.full((len(examples), len(labels)), np.nan)
    for j, label in enumerate(labels):
        if label in examples.labels:
            targets[:, j] = examples.targets[:, examples.labels.index(label)]
    if np.isnan(targets).all():
        raise EvaluationError(
            f"none of the model's labels ({', '.join(labels)}) is coded in the examples"
        )
    return targets


def parts_by(column: Sequence[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Row numbers of each frequent value, the most frequent first, and of the others together."""
    values = np.array(column, object)
    counts = Counter(column)
    large = [value for value, n in counts.most_common() if n >= MIN_SLICE]
    for value in large:
        yield value or "(empty)", np.flatnonzero(values == value)
    rest = np.array([i for i, value in enumerate(column) if counts[value] < MIN_SLICE], np.intp)
    if len(rest):
        yield OTHERS, rest


def _slice(
    name: str,
    labels: Sequence[str],
    decisions: Decisions,
    probabilities: Floats,
    shares: Floats,
    documents: NDArray[np.intp],
    seed: int,
) -> Slice:
    yes, unsure = decisions.yes(probabilities), decisions.unsure(probabilities)
    targets = np.where(np.isnan(shares), np.nan, shares >= 0.5)
    decided = np.where(unsure, np.nan, targets)

    def measured(goal: Floats) -> Report:
        return measure(labels, probabilities, yes, goal, documents, seed=seed)

    disagreed = (shares > 0) & (shares < 1)
    rules = {"each coder": shares, "agreed": np.where(disagreed, np.nan, shares)}
    wrong = np.where(np.isnan(decided), np.nan, yes != (decided == 1))
    return Slice(
        name=name,
        passages=len(shares),
        documents=len(np.unique(documents)),
        report=measured(targets),
        decided=measured(decided),
        unsure=dict(zip(labels, unsure.mean(axis=0).tolist(), strict=True)),
        wrong=dict(zip(labels, _mean_of_known(wrong), strict=True)),
        rules={r: measured(goal).mean for r, goal in rules.items()} if disagreed.any() else {},
    )


def _mean_of_known(table: Floats) -> list[float]:
    """Column means over what is not NaN."""
    known = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        means: list[float] = (np.nansum(table, axis=0) / known.sum(axis=0)).tolist()
    return means


def _clean(shares: Mapping[str, float]) -> dict[str, float | None]:
    return {label: None if np.isnan(share) else share for label, share in shares.items()}

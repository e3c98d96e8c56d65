"""A scikit-learn classifier on the encoder's embeddings, for labels of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from framing.model.calibration import fit_decisions
from framing.model.classifier import load

Floats = NDArray[np.float64]

FOLDS = 5


class Embedder(Protocol):
    """What turns texts into vectors: a model as `framing.load` gives it, or anything like it."""

    def embed(self, texts: Sequence[str], /) -> NDArray[Any]:
        """One vector per text, (n, width)."""


class FramingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # sklearn is untyped
    """Logistic heads on a frozen encoder, calibrated by cross-validation on the user's labels.

    For a few hundred coded passages and up; `framing train` fine-tunes the encoder too.

    Parameters
    ----------
    model
        A bundle's name or folder, as for `framing.load`, or an object with
        ``embed(texts) -> (n, width)``.
    C
        Inverse strength of the heads' L2 penalty, on standardised embeddings.
    random_state
        Seeds the folds of the calibration.

    Attributes
    ----------
    classes_
        The classes; for a multilabel `y` the numbers of its columns.
    multilabel_
        Whether `y` was a multilabel indicator.
    coef_, intercept_
        The heads, (heads, width) and (heads,): one per label, one for two classes, else one per
        class.
    decisions_
        The heads' calibration and thresholds, by head number.

    Notes
    -----
    `X` is a sequence of texts. `predict` gives the most probable class; for a multilabel `y`,
    every label whose calibrated probability reaches its threshold, chosen for F1.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Embedder = "core-en",
        *,
        C: float = 0.01,  # noqa: N803 - scikit-learn's name
        random_state: int | None = 0,
    ) -> None:
        self.model = model
        self.C = C
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit heads and calibration.

        Parameters
        ----------
        X
            n texts.
        y
            (n,) of two or more classes, or an (n, labels) indicator.

        Raises
        ------
        ValueError
            Where `X` holds anything but texts, or `y` is of one class or does not fit.
        """
        if y is None:
            raise ValueError("FramingClassifier requires y to be passed, but the target y is None")
        check_classification_targets(y)
        self.multilabel_ = type_of_target(y) == "multilabel-indicator"
        features = self._features(X)
        check_consistent_length(features, y)
        held = self._indicator(y)
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale == 0] = 1.0
        standard = (features - mean) / scale

        def heads(rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
            fitted = [_head(standard[rows], column[rows], self.C) for column in held.T]
            return np.array([w for w, _ in fitted]), np.array([b for _, b in fitted])

        logits = np.empty(held.shape)
        for rows, held_out in self._folds(held):
            coef, intercept = heads(rows)
            logits[held_out] = standard[held_out] @ coef.T + intercept
        names = [str(j) for j in range(held.shape[1])]
        self.decisions_ = fit_decisions(logits, held, None, names)
        coef, intercept = heads(np.arange(len(held)))
        self.coef_ = coef / scale
        self.intercept_ = intercept - self.coef_ @ mean
        return self

    def predict_proba(self, X: Sequence[str]) -> Floats:  # noqa: N803 - scikit-learn's name
        """Calibrated probabilities, (n, classes); rows sum to 1 unless `y` was multilabel."""
        check_is_fitted(self)
        p = self.decisions_.calibrate(self._features(X) @ self.coef_.T + self.intercept_)
        if self.multilabel_:
            return p
        if len(self.classes_) == 2:
            return np.hstack([1 - p, p])
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """The class of each text, (n,), or the labels it gets, (n, labels) of 0 and 1."""
        p = self.predict_proba(X)
        if self.multilabel_:
            return self.decisions_.yes(p).astype(int)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags

    def _features(self, X: Sequence[str]) -> Floats:  # noqa: N803 - scikit-learn's name
        texts, model = _texts(X), self.model
        if isinstance(model, str | os.PathLike):
            model = _load(os.fspath(model))
        return np.asarray(model.embed(texts), float)

    def _indicator(self, y: ArrayLike) -> NDArray[np.int_]:
        """What each head is to tell, (n, heads) of 0 and 1; sets `classes_`."""
        if self.multilabel_:
            held = np.asarray(y.toarray() if hasattr(y, "toarray") else y, int)
            self.classes_ = np.arange(held.shape[1])
            return held
        self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y holds one class only; FramingClassifier needs at least two classes")
        heads = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]
        return np.asarray(codes[:, None] == np.searchsorted(self.classes_, heads), int)

    def _folds(self, held: NDArray[np.int_]) -> Any:
        """Splits for the calibration, of equal class shares where every class is large enough."""
        if not self.multilabel_:
            codes = held.argmax(axis=1) if held.shape[1] > 1 else held[:, 0]
            smallest = int(np.bincount(codes).min())
            if smallest >= 2:
                return StratifiedKFold(
                    min(FOLDS, smallest), shuffle=True, random_state=self.random_state
                ).split(codes, codes)
        folds = min(FOLDS, len(held))
        return KFold(folds, shuffle=True, random_state=self.random_state).split(held)


def _head(x: Floats, yes: NDArray[np.int_], c: float) -> tuple[Floats, float]:
    """Weights and intercept of one head; without a yes or a no, the smoothed odds alone."""
    positives = int(yes.sum())
    if positives in (0, len(yes)):
        return np.zeros(x.shape[1]), float(np.log((positives + 1) / (len(yes) - positives + 1)))
    model = LogisticRegression(C=c, max_iter=1000).fit(x, yes)
    return model.coef_[0], float(model.intercept_[0])


def _texts(x: Any) -> list[str]:
    if isinstance(x, str | bytes) or getattr(x, "ndim", 1) != 1:
        raise ValueError("X must be a sequence of texts: a list, an array or one column of a table")
    texts = list(x)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"X[{i}] is {type(text).__name__}, not a text")
    if not texts:
        raise ValueError("X holds no texts; a minimum of 1 is required")
    return texts


@lru_cache(maxsize=2)
def _load(path: str) -> Embedder:
    """A bundle is opened once, not at every fold of a grid search; it is never pickled."""
    return load(path)

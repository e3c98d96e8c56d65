"""The first stage of a fast run: a small network decides what it is certain of.

It was taught to give the encoder's logits (`framing distill`), reads the encoder's own tokens, and
takes a hundredth of its time: an embedding of each token, some convolutions over its neighbours
(Kim 2014; Kalchbrenner et al. 2016), the largest and the mean value of each feature over the
passage, a hidden layer. Beside each logit it gives how far off that may be, and so how likely it is
that the encoder would decide otherwise. A passage is kept where it expects few such labels; every
other one goes to the encoder.

All products are of whole numbers so small that floating-point sums of them are exact. They come out
the same in any order: a passage's figures depend on nothing that is computed beside it.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from framing.model.bundle import Bundle, BundleError
from framing.model.calibration import Decisions, sigmoid
from framing.model.encoder import Encoder
from framing.model.manifest import FIRST_STAGE

Floats = NDArray[np.float64]

FIRST, SECOND = 1, 2  # the stage that decided a passage
DIGITS = 6  # an expectation is rounded, then compared
HIGHEST = 340  # of a feature while it is convolved: 3 * 128 * 127 * 340 < 2 ** 24
WIDEST = 128  # channels of a convolution, by the same sum
_MOST = float(2**22)  # of a pooled or hidden feature: 2 ** (22 + 15 + 10) < 2 ** 53
_ROWS = 2048  # tokens that are computed together
_ORDER = (-1, 0, 1)  # a filter's taps


@dataclass(frozen=True, slots=True)
class FirstStage:
    """The network, its weights as whole numbers; ``v`` tokens, ``d`` channels, ``n`` labels.

    Attributes
    ----------
    embedding
        (v, d) int8.
    filters, filter_scale, filter_bias
        (layers, 3, d, d) int8, and (layers, d) float32: what a layer adds to its input is
        ``max(0, sum * scale + bias)``. Layer `i` looks ``2 ** i`` tokens to either side.
    widen, widen_scale, widen_bias
        (d, w) int8, (w,) float32.
    hidden, hidden_scale, hidden_bias
        (2 w, h) int16, (h,) float64: the hidden layer, on the largest and the mean features.
    out, out_scale, out_bias
        (2 w + h, 2 n) int16, (2 n,) float64: for each label a logit, and the logarithm of how far
        from the encoder's it may be.
    mean_scale
        What a feature's sum over a passage, by the root of its length, is multiplied with.
    at_most
        The number of labels decided otherwise than by the encoder that may be expected of a
        passage that is kept.
    teacher
        (32,) uint8, the fingerprint of the bundle whose logits it learned.
    """

    embedding: NDArray[np.int8]
    filters: NDArray[np.int8]
    filter_scale: NDArray[np.float32]
    filter_bias: NDArray[np.float32]
    widen: NDArray[np.int8]
    widen_scale: NDArray[np.float32]
    widen_bias: NDArray[np.float32]
    hidden: NDArray[np.int16]
    hidden_scale: Floats
    hidden_bias: Floats
    out: NDArray[np.int16]
    out_scale: Floats
    out_bias: Floats
    mean_scale: Floats
    at_most: Floats
    teacher: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shapes = _shapes(self)
        for field in fields(self):
            array = getattr(self, field.name)
            kind = _KINDS.get(field.name, np.dtype(np.float64))
            if array.dtype != kind or array.shape != shapes[field.name]:
                raise ValueError(
                    f"{field.name} must be {kind} {shapes[field.name]}, "
                    f"not {array.dtype} {array.shape}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{field.name} holds a number that is not finite")
        layers, _, channels, _ = self.filters.shape
        if not (1 <= channels <= WIDEST and layers <= 6):
            raise ValueError(f"at most {WIDEST} channels and 6 layers are computed exactly")
        if self.hidden.shape[0] + self.hidden.shape[1] > 1024:
            raise ValueError("at most 1,024 features are computed exactly")

    @property
    def labels(self) -> int:
        """How many labels it gives logits for."""
        return int(self.out.shape[1] // 2)

    def to_bytes(self) -> bytes:
        """As an npz file without pickle: the same network gives the same bytes."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for field in fields(self):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, getattr(self, field.name), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{field.name}.npy"), buffer.getvalue())
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FirstStage:
        """Read back what `to_bytes` made.

        Raises
        ------
        ValueError
            One line that says what is wrong with it.
        """
        names = {field.name for field in fields(cls)}
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                if not isinstance(archive, np.lib.npyio.NpzFile) or set(archive.files) != names:
                    raise ValueError(f"must hold exactly the arrays {', '.join(sorted(names))}")
                return cls(**{name: archive[name] for name in names})
        except (TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from None

    def predict(self, passages: Sequence[NDArray[np.int64]]) -> tuple[Floats, Floats]:
        """Logits, and how far from the encoder's they may be: (n, labels) each.

        Parameters
        ----------
        passages
            The numbers of each passage's tokens, at least one.

        Raises
        ------
        ValueError
            A token is not among those it knows.
        """
        if passages and max(int(p.max()) for p in passages) >= len(self.embedding):
            raise ValueError("it does not know all tokens of the tokenizer")
        pooled = np.empty((len(passages), 2 * self.widen.shape[1]))
        for part in _parts([len(p) for p in passages], 2 * self._reach):
            pooled[part] = self._pooled(passages[part])
        sums: Floats = pooled @ self.hidden.astype(float)
        hidden = _whole(np.maximum(sums * self.hidden_scale + self.hidden_bias, 0))
        sums = np.concatenate([pooled, hidden], axis=1) @ self.out.astype(float)
        values = sums * self.out_scale + self.out_bias
        return values[:, : self.labels], np.exp(np.clip(values[:, self.labels :], -10, 10))

    @property
    def _reach(self) -> int:
        """How far the layer that looks farthest looks."""
        return int(2 ** (len(self.filters) - 1))

    def _pooled(self, passages: Sequence[NDArray[np.int64]]) -> Floats:
        """Each feature's largest value in a passage, and its mean."""
        # Passages stand in a row, with so many zeros between them that none sees the next.
        reach, lengths = self._reach, np.array([len(p) for p in passages])
        begin = np.cumsum([reach, *(lengths[:-1] + reach)])
        rows = np.concatenate([np.arange(b, b + n) for b, n in zip(begin, lengths, strict=True)])
        end = int(rows[-1]) + 1
        x = np.zeros((end + reach, self.embedding.shape[1]), np.float32)
        x[rows] = self.embedding[np.concatenate(passages)]
        stands = np.zeros((end - reach, 1), np.float32)
        stands[rows - reach] = 1
        for i, taps in enumerate(self.filters.astype(np.float32)):
            shifts = (x[reach + s * 2**i : end + s * 2**i] for s in _ORDER)
            total = sum(shift @ tap for shift, tap in zip(shifts, taps, strict=True))
            more = np.maximum(total * self.filter_scale[i] + self.filter_bias[i], 0)
            held = x[reach:end]
            x[reach:end] = np.clip(held + np.rint(more) * stands, -HIGHEST, HIGHEST)
        wide = x[rows] @ self.widen.astype(np.float32)
        wide = np.rint(np.maximum(wide * self.widen_scale + self.widen_bias, 0))
        wide = np.minimum(wide, np.float32(_MOST))
        firsts = np.cumsum([0, *lengths[:-1]])
        sums = np.add.reduceat(wide.astype(np.float64), firsts, axis=0)
        means = _whole(sums / np.sqrt(lengths)[:, None] * self.mean_scale)
        return np.concatenate([np.maximum.reduceat(wide, firsts, axis=0), means], axis=1)


_KINDS = {
    **dict.fromkeys(("embedding", "filters", "widen"), np.dtype(np.int8)),
    **dict.fromkeys(("hidden", "out"), np.dtype(np.int16)),
    **dict.fromkeys(
        ("filter_scale", "filter_bias", "widen_scale", "widen_bias"), np.dtype(np.float32)
    ),
    "teacher": np.dtype(np.uint8),
}


def _shapes(stage: FirstStage) -> dict[str, tuple[int, ...]]:
    """The shape that each array must have beside the others."""
    try:
        (v, d), layers = stage.embedding.shape, len(stage.filters)
        w, h, outputs = stage.widen.shape[1], stage.hidden.shape[1], stage.out.shape[1]
    except (ValueError, IndexError, TypeError):
        raise ValueError("its arrays do not have the dimensions of a first stage") from None
    if min(v, d, layers, w, h, outputs) < 1 or outputs % 2:
        raise ValueError("its arrays do not have the dimensions of a first stage")
    return {
        "embedding": (v, d),
        "filters": (layers, len(_ORDER), d, d),
        **dict.fromkeys(("filter_scale", "filter_bias"), (layers, d)),
        "widen": (d, w),
        **dict.fromkeys(("widen_scale", "widen_bias"), (w,)),
        "hidden": (2 * w, h),
        **dict.fromkeys(("hidden_scale", "hidden_bias"), (h,)),
        "out": (2 * w + h, outputs),
        **dict.fromkeys(("out_scale", "out_bias"), (outputs,)),
        "mean_scale": (),
        "at_most": (),
        "teacher": (32,),
    }


def _whole(values: Floats) -> Floats:
    return np.minimum(np.rint(values), _MOST)


def _parts(lengths: Sequence[int], gap: int) -> Iterator[slice]:
    """Cut passages into runs of about `_ROWS` tokens."""
    start = total = 0
    for i, length in enumerate(lengths):
        if total + length + gap > _ROWS and i > start:
            yield slice(start, i)
            start, total = i, 0
        total += length + gap
    if start < len(lengths):
        yield slice(start, len(lengths))


def open_first_stage(bundle: Bundle) -> FirstStage:
    """The first stage of a bundle.

    Raises
    ------
    BundleError
        There is none, it is malformed, or it was distilled from another model than the bundle's.
    """
    again = "distil one with `framing distill`"
    if (data := bundle.files.get(FIRST_STAGE)) is None:
        raise BundleError(bundle.path, FIRST_STAGE, "is missing", again)
    try:
        first = FirstStage.from_bytes(data)
    except Exception as error:  # whatever a parser makes of hostile bytes
        raise BundleError(bundle.path, FIRST_STAGE, f"is refused ({error})", again) from None
    if first.teacher.tobytes().hex() != bundle.fingerprint:
        why = "was distilled from another model than the bundle's"
        raise BundleError(bundle.path, FIRST_STAGE, why, again)
    if first.labels != len(bundle.labels):
        why = f"gives {first.labels} labels, the manifest lists {len(bundle.labels)}"
        raise BundleError(bundle.path, FIRST_STAGE, why, again)
    return first


def expected_changes(risks: Floats) -> Floats:
    """How many labels the encoder is expected to decide otherwise, (n,)."""
    return np.asarray(np.round(risks.sum(axis=1), DIGITS))


def risks_of_change(logits: Floats, spread: Floats, decisions: Decisions) -> Floats:
    """How likely it is that the encoder decides otherwise, (n, labels).

    The encoder's logit is taken to be logistically distributed around the first stage's, by its
    `spread`; what lies beyond the edges of the decision that the first stage makes is another one.

    Parameters
    ----------
    logits, spread
        (n, labels), from :meth:`FirstStage.predict`.
    """
    low, high = _edges(decisions)
    is_yes, is_no = logits >= high, logits < low
    above = sigmoid((logits - high) / spread)  # that the encoder's is above the unsure band
    below = sigmoid((low - logits) / spread)
    return np.asarray(np.where(is_yes, 1 - above, np.where(is_no, 1 - below, above + below)))


def _edges(decisions: Decisions) -> tuple[Floats, Floats]:
    """The unsure bands' edges as logits, (labels,) each."""

    def logit(probability: float) -> float:
        if not 0 < probability < 1:
            return math.inf if probability else -math.inf
        return math.log(probability / (1 - probability))

    edges = [
        [(logit(p) - d.intercept) / d.slope for p in (d.unsure_low, d.unsure_high)]
        for d in decisions.values()
    ]
    low, high = np.array(edges).T
    return low, high


class Cascade:
    """The first stage, and behind it the encoder, as one engine."""

    def __init__(self, first: FirstStage, encoder: Encoder, decisions: Decisions) -> None:
        self._first, self._encoder, self._decisions = first, encoder, decisions

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts, (n, labels); a text's row does not depend on the others."""
        return self.staged(texts)[0]

    def staged(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Score texts, and say for each whether the first stage decided it or the second."""
        tokens = [list(self._encoder.windows(text)) for text in texts]
        short = [i for i, windows in enumerate(tokens) if len(windows) == 1]
        logits, spread = self._first.predict([tokens[i][0] for i in short])
        risks = risks_of_change(logits, spread, self._decisions)
        few = expected_changes(risks) <= self._first.at_most
        kept = np.array(short, np.intp)[few]
        stages = np.full(len(texts), SECOND, np.int8)
        stages[kept] = FIRST
        out = np.empty((len(texts), self._encoder.labels), np.float32)
        out[kept] = logits[few]
        rest = np.flatnonzero(stages == SECOND)
        out[rest] = self._encoder.logits([texts[i] for i in rest.tolist()])
        return out, stages

"""What a model learns from: coded passages, and our own parallel corpus with its slots filled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framing.codebook.coded import Coded
from framing.codebook.parallel import Telling, fill, held_out
from framing.text.normalize import normalize
from framing.train.variation import Contrast, Targets, vary


@dataclass(frozen=True, slots=True)
class Examples:
    """Training passages under one list of labels.

    `targets` is float32 (n, labels) in [0, 1], NaN where a label was not coded: missing is not
    negative. Rows of `tellings` follow the coded rows. Where there are tellings, coded passages
    are varied, too: names swapped, plain passages put in contrast (see `variation`).
    """

    labels: tuple[str, ...]
    coded: tuple[str, ...]
    tellings: tuple[Telling, ...]
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, rng: np.random.Generator) -> tuple[list[str], Targets]:
        """All passages and their targets for one epoch; `rng` picks fillings and variations."""
        if not self.tellings:
            return list(self.coded), self.targets
        contrast = Contrast(self.labels)
        drawn = [
            *(vary(text, rng) for text in self.coded),
            *(fill(telling, rng) for telling in self.tellings),
        ]
        pairs = [contrast(t, row, rng) for t, row in zip(drawn, self.targets, strict=True)]
        return [text for text, _ in pairs], np.stack([row for _, row in pairs])

    @property
    def fingerprint(self) -> str:
        """Of texts and targets, in order."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for text in (*self.coded, *(t.text for t in self.tellings)):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(self.targets.tobytes())
        return digest.hexdigest()


def training_examples(coded: Coded, tellings: Sequence[Telling] = ()) -> Examples:
    """Coded passages, followed by the parallel corpus' tellings where there are any.

    Events that are kept for the audit are left out of `tellings` here.
    A label of the codebook that the corpus does not know is not coded in it.
    """
    tellings = tuple(t for t in tellings if not held_out(t.event))
    known = {label for t in tellings for label in t.labels}
    own = np.array(
        [
            [float(label in t.labels) if label in known else np.nan for label in coded.labels]
            for t in tellings
        ],
        np.float32,
    ).reshape(len(tellings), len(coded.labels))
    return Examples(
        labels=tuple(coded.labels),
        coded=tuple(normalize(text).text for text in coded.texts),
        tellings=tellings,
        targets=np.concatenate([coded.targets.astype(np.float32), own]),
    )


def join(parts: Sequence[Coded]) -> Coded:
    """Several coded files as one; all by the same codebook. Only shared columns are kept."""
    first = parts[0]
    shared = [name for name in first.columns if all(name in part.columns for part in parts)]
    return Coded(
        labels=first.labels,
        ids=tuple(x for part in parts for x in part.ids),
        texts=tuple(x for part in parts for x in part.texts),
        targets=np.concatenate([part.targets for part in parts]),
        groups=tuple(x for part in parts for x in part.groups),
        columns={name: tuple(x for part in parts for x in part.columns[name]) for name in shared},
    )


def held_out_split(
    groups: Sequence[str], share: float, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row numbers to train on and to hold out, so that no group (document) is on both sides.

    A group's side is decided by a hash of its name: adding documents moves no other document.
    """

    def held(group: str) -> bool:
        digest = hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < share

    side = np.array([held(str(group)) for group in groups], bool)
    return np.flatnonzero(~side), np.flatnonzero(side)

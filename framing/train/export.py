"""A fine-tuned network to an ONNX file: int8 weights, stored and multiplied as such.

Weights are rounded per output channel to symmetric int8 steps (Jacob et al. 2018) in torch first,
so that the torch network and the ONNX graph hold the same numbers and can be compared. That graph
multiplies the steps back with plain Cast and Mul nodes: its arithmetic is float32. `int8.py` then
turns its large products into integer ones.
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from framing.train.finetune import Net
from framing.train.int8 import Floats, Steps, safe_steps

OPSET = 20
_STORED_FROM = 1024  # elements; smaller tensors are not worth a scale
_TAKES_4D_MASK = {"bert", "roberta", "xlm-roberta", "electra", "mpnet"}


class _Graph(nn.Module):
    """What is exported: ids and mask in, logits and the pooled vector out."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.additive = net.encoder.config.model_type in _TAKES_4D_MASK

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # An additive mask given ready-made keeps the masking utilities' dynamic ops out.
        given = (1.0 - mask[:, None, None, :].float()) * -10_000.0 if self.additive else mask
        hidden = self.net.encoder(input_ids=ids, attention_mask=given).last_hidden_state
        weight = mask.unsqueeze(-1).float()
        pooled = (hidden * weight).sum(1) / weight.sum(1)
        return self.net.head(pooled), pooled


@dataclass(frozen=True, slots=True)
class Rounded:
    """A weight in int8: (inputs, outputs) of a product with scale (1, outputs), or rows to look up.

    `name` is the torch parameter's; the product of `steps` and `scale` is its exact value (of a
    linear layer, transposed).
    """

    name: str
    steps: Steps
    scale: Floats


@torch.no_grad()
def round_weights(net: Net) -> list[Rounded]:
    """Round the encoder's matrices in place to int8 steps per output channel or row."""
    rounded = []
    for name, module in net.encoder.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
            continue
        if weight.numel() < _STORED_FROM:
            continue
        values = weight.numpy(force=True)
        if isinstance(module, nn.Linear):
            steps, scale = safe_steps(values.T)
            weight.copy_(torch.from_numpy((steps * scale).T))
        else:
            scale = np.maximum(np.abs(values).max(1, keepdims=True) / np.float32(127), 1e-12)
            scale = scale.astype(np.float32)
            steps = np.rint(values / scale).astype(np.int8)
            weight.copy_(torch.from_numpy(steps * scale))
        rounded.append(Rounded(f"net.encoder.{name}.weight", steps, scale))
    return rounded


def export_onnx(net: Net, rounded: Sequence[Rounded], path: Path) -> float:
    """Write `net`, its weights rounded by `round_weights`, to `path`.

    Returns
    -------
    float
        The largest absolute difference between torch's and ONNX Runtime's logits on random
        padded batches of several shapes.
    """
    net = net.eval()
    net.encoder.set_attn_implementation("eager")
    graph = _Graph(net).eval()
    ids = torch.randint(5, net.encoder.config.vocab_size, (3, 24))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    longest = _longest(net)
    tokens = torch.export.Dim("tokens", min=2, max=longest)
    axes = {0: torch.export.Dim("batch", max=65_536), 1: tokens}
    with warnings.catch_warnings(), _quiet("torch.onnx"), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (ids, mask),
            dynamo=True,
            dynamic_shapes=(axes, axes),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "pooled"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = store_int8(program.model_proto, rounded)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return _largest_difference(graph, path)


def store_int8(model: onnx.ModelProto, rounded: Sequence[Rounded]) -> onnx.ModelProto:
    """Hold rounded weights as steps and scale under their torch names, multiplied in the graph.

    The tracer renames and transposes what it exports; a weight is known by its values.
    """
    graph = model.graph
    known = {(one.steps * one.scale).tobytes(): one for one in rounded}
    uses: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
    for node in graph.node:
        for place, name in enumerate(node.input):
            uses[name].append((node, place))
    before: list[onnx.NodeProto] = []
    for tensor in list(graph.initializer):
        one = known.pop(numpy_helper.to_array(tensor).tobytes(), None)
        if one is None:
            continue
        name = one.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(one.steps, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(one.scale, f"{name}.scale"))
        if all(n.op_type == "Gather" and place == 0 for n, place in uses[tensor.name]):
            for node, _ in uses[tensor.name]:
                _multiply_after_lookup(graph, node, name)
            continue
        for node, place in uses[tensor.name]:
            node.input[place] = name
        before += [
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=1),
            helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]),
        ]
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    del model.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def _multiply_after_lookup(graph: onnx.GraphProto, node: onnx.NodeProto, name: str) -> None:
    """Dequantise only the rows looked up: the whole embedding never stands in float32."""
    indices, out = node.input[1], node.output[0]
    at = list(graph.node).index(node)
    graph.node.remove(node)
    for offset, made in enumerate(
        [
            helper.make_node("Gather", [f"{name}.int8", indices], [f"{out}.int8"], axis=0),
            helper.make_node("Cast", [f"{out}.int8"], [f"{out}.cast"], to=1),
            helper.make_node("Gather", [f"{name}.scale", indices], [f"{out}.scale"], axis=0),
            helper.make_node("Mul", [f"{out}.cast", f"{out}.scale"], [out]),
        ]
    ):
        graph.node.insert(at + offset, made)


def _longest(net: Net) -> int:
    """Tokens that the encoder has positions for; RoBERTa's kind loses two to padding."""
    return min(512, int(getattr(net.encoder.config, "max_position_embeddings", 514)) - 2)


def _largest_difference(graph: _Graph, path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for rows, width in [(1, 5), (2, 17), (7, 64), (3, min(200, _longest(graph.net)))]:
        vocabulary = graph.net.encoder.config.vocab_size
        ids = torch.randint(5, vocabulary, (rows, width), generator=generator)
        mask = torch.ones_like(ids)
        mask[-1, width // 2 + 1 :] = 0
        with torch.no_grad():
            expected = graph(ids, mask)[0].numpy()
        (got,) = session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        largest = max(largest, float(np.abs(got - expected).max()))
    return largest


class _quiet:  # noqa: N801 - reads as a verb in a with statement
    """Silence one logger for a while."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)

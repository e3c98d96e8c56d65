"""An exported encoder's large products in int8: integer arithmetic with one scale per token.

A token's activations are rounded to eight bits by a scale of that token alone (Dettmers et al.
2022, without the outlier columns), so that a passage still never depends on its batch-mates;
integer sums are exact in any order and on any CPU. Three traps shape the graph:

* AVX2 adds two neighbouring products of an unsigned activation and a signed weight in 16 bits
  and saturates. A scale per output channel keeps every such pair of steps within 128: 255 times
  128 fits. That costs little, as large weights seldom neighbour each other; halving every
  weight's range (seven bits) costs a whole bit.
* ONNX Runtime fuses a Cast and a Mul after MatMulInteger into a kernel that knows no scale per
  row and computes nonsense with one. DequantizeLinear with the rows as its axis is never fused.
* One QuantizeLinear with the rows as its axis is one pass over memory; spelt as division,
  rounding and cast it is four, and these passes cost what the integer products save.

GELU is never below -0.17: its output is quantised from there up, on all 256 steps, and what the
shift adds to the product is taken back in the bias, which the runtime computes once at load.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int8]

PAIR = 128  # 255 * 128 is the largest multiple of 255 below 2 ** 15
GELU_SHIFT = 0.17
_TINY = 1e-9  # the scale of a row of zeros


def safe_steps(weights: Floats) -> tuple[Steps, Floats]:
    """Round weights (inputs, outputs) to int8 steps whose products cannot saturate 16 bits.

    Returns
    -------
    tuple
        The steps, and the size of one step per output channel, (1, outputs). In every two
        neighbouring inputs of a channel the positive steps sum to at most 128, and the negative
        ones to at least -128.
    """
    scale = np.maximum(np.abs(weights).max(0) / 127, _pairs(weights) / PAIR)
    scale = np.maximum(scale, 1e-12).astype(np.float32)
    while True:
        steps = np.rint(weights / scale)
        over = (_pairs(steps) > PAIR) | (np.abs(steps).max(0) > 127)
        if not over.any():
            return steps.astype(np.int8), scale[None]
        scale[over] *= np.float32(1.002)  # two halves were both rounded up


def _pairs(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Per channel the largest sum of one sign over two neighbours, wherever a kernel starts."""
    signs = np.stack([weights.clip(0), (-weights).clip(0)])
    return np.asarray((signs[:, 1:] + signs[:, :-1]).max((0, 1)))


def compute_in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn the products with weights that `store_int8` stored into int8 products.

    Parameters
    ----------
    model
        The graph; left as it is.

    Returns
    -------
    onnx.ModelProto
        The same inputs, outputs and names of weights, standard operators only.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    _Rewriter(changed.graph).rewrite()
    onnx.checker.check_model(changed)
    return changed


class _Rewriter:
    """Rewrites one graph in place, in its own order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.held = {tensor.name: tensor for tensor in graph.initializer}
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.used_by: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.used_by[name].append(node)
        self.products = {
            node.output[0]
            for node in graph.node
            if node.op_type == "MatMul"
            and f"{node.input[1]}.int8" in self.held
            and len(self.used_by[node.input[1]]) == 1
        }
        self.nodes: list[onnx.NodeProto] = []
        self.quantised: set[str] = set()

    def rewrite(self) -> None:
        products = [node for node in self.graph.node if node.output[0] in self.products]
        floats = {node.input[1] for node in products}  # each weight has one product
        floats |= {f"{name}.cast" for name in floats}
        for node in self.graph.node:
            if node.output[0] in self.products:
                self._product(node)
            elif node.output[0] not in floats:
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _product(self, node: onnx.NodeProto) -> None:
        activations, weight = node.input
        out = node.output[0]
        steps, scale = (
            numpy_helper.to_array(self.held[f"{weight}.{part}"]) for part in ("int8", "scale")
        )
        shifted, flat = self._may_shift(activations), self._flat_will_do(out)
        if activations not in self.quantised:
            self._quantise(activations, len(steps), shifted)
            self.quantised.add(activations)
        zero = [] if shifted else [self._constant("int8.zero", np.uint8(128))]
        if shifted:
            self._take_back(out, GELU_SHIFT * (steps.astype(float) * scale).sum(0))
        self._add("MatMulInteger", [f"{activations}.int8", f"{weight}.int8", *zero], f"{out}.int32")
        self._add(
            "DequantizeLinear", [f"{out}.int32", f"{activations}.step"], f"{out}.float", axis=0
        )
        if flat:
            self._add("Mul", [f"{out}.float", f"{weight}.scale"], out)
            return
        self._add("Mul", [f"{out}.float", f"{weight}.scale"], f"{out}.flat")
        width = self._constant(f"int8.width{steps.shape[1]}", np.array([steps.shape[1]]))
        self._add("Shape", ["input_ids"], f"{out}.batch")
        self._add("Concat", [f"{out}.batch", width], f"{out}.shape", axis=0)
        self._add("Reshape", [f"{out}.flat", f"{out}.shape"], out)

    def _quantise(self, name: str, width: int, shifted: bool) -> None:
        """Make of activations `.int8`, uint8 (rows, width), and `.step`, float32 (rows,)."""
        number = 255 if shifted else 127
        last = self._constant("int8.last", np.array([-1]))
        share = self._constant(f"int8.share{number}", np.float32(1 / number))
        tiny = self._constant("int8.tiny", np.float32(_TINY))
        shape = self._constant(f"int8.rows{width}", np.array([-1, width]))
        self._add("Reshape", [name, shape], f"{name}.rows")
        if shifted:
            shift = self._constant("int8.shift", np.float32(GELU_SHIFT))
            self._add("Add", [f"{name}.rows", shift], f"{name}.size")
        else:
            self._add("Abs", [f"{name}.rows"], f"{name}.size")
        self._add("ReduceMax", [f"{name}.size", last], f"{name}.max", keepdims=0)
        self._add("Mul", [f"{name}.max", share], f"{name}.share")
        self._add("Max", [f"{name}.share", tiny], f"{name}.step")
        if shifted:
            inputs = [f"{name}.size", f"{name}.step"]
        else:
            zero = self._constant("int8.zero", np.uint8(128))
            self._add("Shape", [f"{name}.step"], f"{name}.count")
            self._add("Expand", [zero, f"{name}.count"], f"{name}.zero")
            inputs = [f"{name}.rows", f"{name}.step", f"{name}.zero"]
        self._add("QuantizeLinear", inputs, f"{name}.int8", axis=0)

    def _take_back(self, out: str, added: npt.NDArray[Any]) -> None:
        """Let the bias that is added to `out` be less by what the shift of its input added."""
        bias = self._bias(out)
        assert bias is not None
        much = self._constant(f"{bias}.added", added.astype(np.float32))
        self._add("Sub", [bias, much], f"{bias}.shifted")
        user = self.used_by[out][0]
        for place, name in enumerate(user.input):
            if name == bias:
                user.input[place] = f"{bias}.shifted"

    def _may_shift(self, activations: str) -> bool:
        """Whether they come out of a GELU and every use has a bias that takes a shift back."""
        made_by = self.made_by.get(activations)
        return (
            made_by is not None
            and made_by.op_type == "Gelu"
            and all(self._bias(use.output[0]) for use in self.used_by[activations])
        )

    def _bias(self, product: str) -> str | None:
        """The vector that is added to a product and to nothing else."""
        users = self.used_by[product]
        if len(users) != 1 or users[0].op_type != "Add":
            return None
        for name in users[0].input:
            if name in self.held and len(self.held[name].dims) == 1:
                return name if len(self.used_by[name]) == 1 else None
        return None

    def _flat_will_do(self, name: str) -> bool:
        """Whether all that follows takes (rows, width) for (batch, tokens, width)."""
        return bool(self.used_by[name]) and all(
            node.op_type == "Reshape"
            or node.output[0] in self.products
            or (
                (node.op_type == "Gelu" or self._bias(name) is not None)
                and self._flat_will_do(node.output[0])
            )
            for node in self.used_by[name]
        )

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def _constant(self, name: str, value: npt.ArrayLike) -> str:
        if name not in self.held:
            self.held[name] = self.graph.initializer.add()
            self._hold(name, np.asarray(value))
        return name

    def _hold(self, name: str, value: npt.NDArray[np.generic]) -> None:
        self.held[name].CopyFrom(numpy_helper.from_array(value, name))

"""A look into an ONNX file before ONNX Runtime may parse it.

ONNX can point at other files, at native code (custom operators) and at memory, and can hide all
of it in nested graphs. A text classifier needs none of that. This module walks the protobuf
wire format itself, without the `onnx` package, and accepts only messages, fields and operators
from short lists: whatever is not known here is refused, not skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_FIELDS = 1_000_000  # a MiniLM export has about ten thousand
DOMAINS = frozenset({"", "ai.onnx"})
OPERATORS = frozenset(
    """
    Abs Add And Attention Cast CastLike Ceil Clip Concat Constant ConstantOfShape Cos CumSum
    DequantizeLinear Div Dropout Einsum Equal Erf Exp Expand Flatten Floor Gather GatherElements
    GatherND Gelu Gemm Greater GreaterOrEqual Identity IsNaN LayerNormalization Less LessOrEqual
    Log LogSoftmax MatMul MatMulInteger Max Min Mod Mul Neg Not Or Pow QuantizeLinear
    RMSNormalization Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape
    RotaryEmbedding Round ScatterElements ScatterND Shape Sigmoid Sign Sin Size Slice Softmax
    Split Sqrt Squeeze Sub Tanh Tile Transpose Trilu Unsqueeze Where
    """.split()  # noqa: SIM905 - a list of one word a line would bury the schema below
)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Per message, the fields that may occur: a message name means walk into it, a check's name means
# check the value, "" means harmless. Numbers are those of onnx.proto3.
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {1: "", 2: "", 3: "", 4: "", 5: "", 6: "", 7: "graph", 8: "opset", 14: ""},
    "opset": {1: "domain", 2: ""},
    "graph": {1: "node", 2: "", 5: "tensor", 10: "", 11: "", 12: "", 13: "", 16: ""},
    "node": {1: "", 2: "", 3: "", 4: "operator", 5: "attribute", 6: "", 7: "domain", 9: ""},
    "attribute": {
        1: "",
        2: "",
        3: "",
        4: "",
        5: "tensor",
        7: "",
        8: "",
        9: "",
        10: "tensor",
        13: "",
        20: "",
    },
    "tensor": {
        1: "",
        2: "",
        4: "",
        5: "",
        7: "",
        8: "",
        9: "",
        10: "",
        11: "",
        12: "",
        14: "location",
        16: "",
    },
}

# What the refused fields are, for the message.
_REFUSED = {
    ("model", 20): "training information",
    ("model", 25): "functions",
    ("model", 26): "a device configuration",
    ("graph", 14): "quantisation annotations",
    ("graph", 15): "sparse tensors",
    ("node", 8): "an operator overload",
    ("node", 10): "a device configuration",
    ("attribute", 6): "a nested graph",
    ("attribute", 11): "nested graphs",
    ("attribute", 14): "a type",
    ("attribute", 15): "types",
    ("attribute", 21): "a function's attribute",
    ("attribute", 22): "a sparse tensor",
    ("attribute", 23): "sparse tensors",
    ("tensor", 3): "a tensor segment",
    ("tensor", 6): "a tensor of strings",
    ("tensor", 13): "external data",
}


class OnnxRefused(ValueError):  # noqa: N818 - a refusal, in the words of the bundle
    """The bytes are not an ONNX model that framing is willing to load; the message says why."""


def check_onnx(data: bytes) -> None:
    """Accept a self-contained ONNX model of standard operators, or say what is wrong with it.

    Raises
    ------
    OnnxRefused
        Malformed protobuf, external data, a custom operator or domain, a function, a nested
        graph, a sparse tensor, or any field that is not known here.
    """
    if data[4:8] == b"ORTM":  # ONNX Runtime would read these bytes as its own format, unseen
        raise OnnxRefused("is in ONNX Runtime's own format, not ONNX")
    walker = _Walker()
    walker.walk("model", memoryview(data))
    if walker.graphs != 1:
        raise OnnxRefused(f"holds {walker.graphs} graphs, not one")


class _Walker:
    """Walks one model; the number of fields it will look at is bounded."""

    def __init__(self) -> None:
        self.budget = MAX_FIELDS
        self.graphs = 0

    def walk(self, message: str, data: memoryview) -> None:
        schema = _SCHEMA[message]
        seen = set()
        for field, wire, value in _fields(data):
            self.budget -= 1
            if self.budget < 0:
                raise OnnxRefused(f"holds more than {MAX_FIELDS:,} protobuf fields")
            if field not in schema:
                what = _REFUSED.get((message, field), f"field {field}, which is not known")
                raise OnnxRefused(f"holds {what} in a {message}")
            seen.add(field)
            kind = schema[field]
            if kind in _SCHEMA:
                self.walk(kind, _as_bytes(wire, value))
            elif kind == "domain":
                _check_domain(_as_name(wire, value))
            elif kind == "operator":
                _check_operator(_as_name(wire, value))
            elif kind == "location" and (wire, value) != (_VARINT, 0):
                raise OnnxRefused("holds external data in a tensor")
        if message == "node" and 4 not in seen:
            raise OnnxRefused("holds a node without an operator")
        self.graphs += message == "graph"


def _check_domain(name: str) -> None:
    if name not in DOMAINS:
        raise OnnxRefused(f"uses the operator domain {name!r}; only standard ONNX is allowed")


def _check_operator(name: str) -> None:
    if name not in OPERATORS:
        raise OnnxRefused(f"uses the operator {name!r}, which is not on the list of allowed ones")


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield (field number, wire type, value) of one message; groups do not exist in ONNX."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        value: int | memoryview
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32, _BYTES):
            size, at = _varint(data, at) if wire == _BYTES else (8 if wire == _FIXED64 else 4, at)
            if size > end - at:
                raise OnnxRefused("is not well-formed ONNX (a field ends after its message)")
            value = data[at : at + size]
            at += size
        else:
            raise OnnxRefused(f"is not well-formed ONNX (wire type {wire})")
        yield field, wire, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read one varint of at most ten bytes and 64 bits; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise OnnxRefused("is not well-formed ONNX (it is cut off)")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, at
    raise OnnxRefused("is not well-formed ONNX (a number is too long)")


def _as_bytes(wire: int, value: int | memoryview) -> memoryview:
    if wire != _BYTES or isinstance(value, int):
        raise OnnxRefused("is not well-formed ONNX (a number where a message belongs)")
    return value


def _as_name(wire: int, value: int | memoryview) -> str:
    try:
        return bytes(_as_bytes(wire, value)[:100]).decode("ascii")
    except UnicodeDecodeError:
        raise OnnxRefused("is not well-formed ONNX (a name is not ASCII)") from None

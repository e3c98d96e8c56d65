"""A bundle made by hand, byte by byte: words of a tiny vocabulary vote for three labels.

Its logits are the sum of the votes plus a bias, so that tests can compute what must come out.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from framing.model.bundle import Bundle, write_bundle
from framing.model.calibration import Decisions, LabelDecision

LABELS = ("alarm", "hope", "advert")
BIAS = (-2.0, -2.0, -3.0)
VOTES = {
    "bomb": (4.0, -1.0, 0.0),
    "panic": (3.0, 0.0, 0.0),
    "fear": (1.0, 0.0, 0.0),
    "peace": (-1.0, 4.0, 0.0),
    "calm": (0.0, 3.0, 0.0),
    "subscribe": (0.0, 0.0, 8.0),
}
WORDS = ["[UNK]", "[CLS]", "[SEP]", *VOTES, *"the a and of in said city river .".split()]
CODEBOOK = """\
name: tiny
version: 1
set_aside: advert
labels:
  alarm: The passage warns of harm.
  hope: The passage tells of a remedy.
  advert: The passage sells something.
"""
FLOAT, INT64 = 1, 7


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: a varint or length-delimited bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tensor(name: str, dims: tuple[int, ...], kind: int, raw: bytes, extra: bytes = b"") -> bytes:
    shape = b"".join(field(1, d) for d in dims)
    return shape + field(2, kind) + field(8, name) + field(9, raw) + extra


def node(
    op: str, inputs: str, outputs: str, attributes: bytes = b"", domain: str | None = None
) -> bytes:
    named = b"".join(field(1, i) for i in inputs.split())
    named += b"".join(field(2, o) for o in outputs.split())
    tail = b"" if domain is None else field(7, domain)
    return named + field(4, op) + attributes + tail


def integer(name: str, value: int) -> bytes:
    """An int attribute as a field of a node."""
    return field(5, field(1, name) + field(3, value) + field(20, 2))


def _value(name: str, kind: int, *dims: int | str) -> bytes:
    shape = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def onnx_model(
    *,
    nodes: bytes = b"",
    initializers: bytes = b"",
    graph: bytes = b"",
    model: bytes = b"",
    weights: bytes | None = None,
    logits: str = "logits",
) -> bytes:
    """The tiny model; the arguments are fields to add to it, to spoil it with."""
    votes = [VOTES.get(word, (0.0,) * 3) for word in WORDS]
    raw = struct.pack(f"<{3 * len(votes)}f", *(v for row in votes for v in row))
    body = b"".join(
        field(1, n)
        for n in [
            node("Gather", "votes input_ids", "looked_up"),
            node("Cast", "attention_mask", "mask", integer("to", FLOAT)),
            node("Unsqueeze", "mask two", "mask3"),
            node("Mul", "looked_up mask3", "masked"),
            node("ReduceSum", "masked one", "embedding", integer("keepdims", 0)),
            node("Add", "embedding bias", logits),
        ]
    )
    body += nodes + field(2, "tiny")
    for t in [
        tensor("votes", (len(votes), 3), FLOAT, raw if weights is None else weights),
        tensor("bias", (3,), FLOAT, struct.pack("<3f", *BIAS)),
        tensor("one", (1,), INT64, struct.pack("<q", 1)),
        tensor("two", (1,), INT64, struct.pack("<q", 2)),
    ]:
        body += field(5, t)
    body += initializers
    body += field(11, _value("input_ids", INT64, "batch", "tokens"))
    body += field(11, _value("attention_mask", INT64, "batch", "tokens"))
    body += field(12, _value(logits, FLOAT, "batch", 3))
    body += field(12, _value("embedding", FLOAT, "batch", 3))
    opset = field(1, "") + field(2, 17)
    return field(1, 8) + field(7, body + graph) + field(8, opset) + model


def tokenizer_table() -> dict[str, object]:
    """`tokenizer.json` as data: lower case, words and punctuation, [CLS] ... [SEP]."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": WORDS[i], "single_word": False, "lstrip": False}
            | {"rstrip": False, "normalized": False, "special": True}
            for i in range(3)
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": True}
        | {"handle_chinese_chars": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: i for i, word in enumerate(WORDS)},
        },
    }


def decisions() -> Decisions:
    """Plain sigmoids; alarm is unsure between .5 and .8."""
    plain = LabelDecision(1.0, 0.0, 0.5, 0.5, 0.5)
    return Decisions(
        {"alarm": LabelDecision(1.0, 0.0, 0.5, 0.5, 0.8), "hope": plain, "advert": plain}
    )


def stage(folder: Path) -> Path:
    """The tiny bundle's files, without a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(onnx_model())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_table()))
    (folder / "codebook.yaml").write_text(CODEBOOK)
    (folder / "decisions.json").write_text(decisions().to_json())
    (folder / "README.md").write_text("# tiny\n")
    return folder


def make_bundle(folder: Path, *, max_tokens: int = 32) -> Bundle:
    """The tiny bundle, whole."""
    return write_bundle(stage(folder), name="tiny", kind="encoder", max_tokens=max_tokens)

"""Int8 in store and in arithmetic: safe steps, the same products, no look at batch-mates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertModel

from framing.model.encoder import Encoder
from framing.train.export import Rounded, export_onnx, round_weights, store_int8
from framing.train.finetune import Net
from framing.train.int8 import PAIR, compute_in_int8, safe_steps
from framing.train.start import Start

pytestmark = pytest.mark.train

WORDS = [f"w{i}" for i in range(300)]


@pytest.fixture(scope="module")
def start():
    """An encoder just wide enough for its matrices to be stored in int8."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 1,
        hidden_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=80,
        initializer_range=0.2,
    )
    vocabulary = {"[PAD]": 0, **{word: i for i, word in enumerate(WORDS, 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return Start("wide", BertModel(config), tokenizer)


@pytest.fixture(scope="module")
def graphs(start, tmp_path_factory):
    """The exported graph in float32 and in int8 arithmetic, as bytes, and torch's difference."""
    net = Net(start, ("a", "b", "c"), 0.1).eval()
    path = tmp_path_factory.mktemp("graphs") / "model.onnx"
    difference = export_onnx(net, round_weights(net), path)
    plain = path.read_bytes()
    return plain, compute_in_int8(onnx.load_from_string(plain)).SerializeToString(), difference


@pytest.fixture(scope="module")
def encoders(start, graphs):
    tokenizer = start.tokenizer.to_str().encode()
    return [Encoder(graph, tokenizer, max_tokens=64, threads=1) for graph in graphs[:2]]


def texts(number):
    rng = np.random.default_rng(number)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 60))) for _ in range(number)]


def test_the_float_graph_computes_what_torch_computes(graphs):
    assert graphs[2] < 1e-4


def test_both_graphs_store_bytes_not_floats(graphs, start):
    matrices = sum(p.numel() for p in start.encoder.parameters() if p.ndim == 2)
    for graph in graphs[:2]:
        assert len(graph) < 1.3 * matrices


def test_int8_arithmetic_is_used_and_close(graphs, encoders):
    used = {node.op_type for node in onnx.load_from_string(graphs[1]).graph.node}
    assert "MatMulInteger" in used
    plain, fast = (encoder.logits(texts(60)) for encoder in encoders)
    assert not np.array_equal(plain, fast)
    cosines = (plain * fast).sum(1) / np.linalg.norm(plain, axis=1) / np.linalg.norm(fast, axis=1)
    assert cosines.min() > 0.99


def test_int8_logits_do_not_depend_on_the_batch(encoders):
    passages = texts(90)
    expected = encoders[1].logits(passages)
    order = np.random.default_rng(0).permutation(len(passages))
    shuffled = encoders[1].logits([passages[i] for i in order])
    np.testing.assert_array_equal(shuffled, expected[order])
    for i in (0, 17, 89):
        np.testing.assert_array_equal(encoders[1].logits([passages[i]])[0], expected[i])


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (12, 5), elements=st.floats(-8, 8, width=32)),
)
def test_no_two_neighbouring_steps_can_saturate(weights):
    steps, scale = safe_steps(weights)
    wide = steps.astype(int)
    for sign in (wide.clip(0), (-wide).clip(0)):
        assert (sign[1:] + sign[:-1]).max(initial=0) <= PAIR
    assert np.abs(steps * scale - weights).max() <= scale.max() * 0.51 + 1e-6


@pytest.mark.parametrize("size", [1, 3, 64])
def test_an_int8_product_is_the_product_of_the_rounded_numbers(size):
    rng = np.random.default_rng(size)
    weights = np.full((256, 300), 2.0, np.float32)  # every pair at the limit
    weights[:, ::2] = rng.normal(size=(256, 150))
    steps, scale = safe_steps(weights)
    rounded = Rounded("net.w", steps, scale)
    make = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [make("x", 1, ["b", "t", 256]), make("input_ids", 7, ["b", "t"])],
        [make("y", 1, ["b", "t", 300])],
        [numpy_helper.from_array(steps * scale, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    fast = compute_in_int8(store_int8(model, [rounded]))
    import onnxruntime

    x = (rng.normal(size=(size, 7, 256)) * 10.0 ** rng.integers(-3, 4, (size, 7, 1))).astype("f")
    x[0, 0] = np.abs(x[0, 0]).max()  # a row of the largest step alone
    session = onnxruntime.InferenceSession(fast.SerializeToString())
    (y,) = session.run(None, {"x": x, "input_ids": np.zeros((size, 7), np.int64)})
    step = np.abs(x).max(2, keepdims=True) / np.float32(127)
    expected = np.rint(x / step) @ steps.astype(float) * step * scale
    allowed = 1e-4 * np.abs(expected).max(2, keepdims=True)
    assert (np.abs(y - expected) <= allowed + 1e-9).mean() > 0.999  # a tie may round either way

from __future__ import annotations

import json
import random
import struct

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.model import encoder as module
from framing.model.bundle import BundleError, find_bundle, open_bundle
from framing.model.encoder import Encoder

TOKENIZER = json.dumps(tiny.tokenizer_table()).encode()
words = st.lists(st.sampled_from(tiny.WORDS[3:]), max_size=40).map(" ".join)


def make(max_tokens: int = 32, threads: int = 1, model: bytes | None = None) -> Encoder:
    data = tiny.onnx_model() if model is None else model
    return Encoder(data, TOKENIZER, max_tokens=max_tokens, threads=threads)


def expected(text: str) -> np.ndarray:
    votes = np.array([tiny.VOTES.get(w, (0, 0, 0)) for w in text.split()]).reshape(-1, 3)
    return votes.sum(0) + tiny.BIAS


# ---- what comes out


def test_logits_are_the_models() -> None:
    texts = ["The bomb in the city.", "peace and calm", "", "unheard words"]
    got = make().logits(texts)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [expected(t.lower().replace(".", "")) for t in texts])


def test_nothing_in_nothing_out() -> None:
    assert make().logits([]).shape == (0, 3)
    assert make().embed([]).shape == (0, 3)
    assert (make().labels, make().width) == (3, 3)


def test_special_tokens_in_a_text_are_text() -> None:
    table = tiny.tokenizer_table()
    vocabulary = {"[": 90, "]": 91, "bomb": 3, "[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "sep": 4}
    table["model"]["vocab"] = vocabulary  # type: ignore[index]
    encoder = Encoder(
        tiny.onnx_model(weights=None), json.dumps(table).encode(), max_tokens=32, threads=1
    )
    (ids,) = encoder.windows("[SEP]")
    assert ids.tolist() == [1, 90, 4, 91, 2]


@given(text=words, max_tokens=st.integers(8, 24))
@settings(max_examples=80, deadline=None)
def test_windows_cover_every_token_and_overlap(text: str, max_tokens: int) -> None:
    encoder = make(max_tokens)
    whole = [tiny.WORDS.index(w) for w in text.split()]
    windows = [ids.tolist() for ids in encoder.windows(text)]
    assert all(len(w) <= max_tokens for w in windows)
    assert all((w[0], w[-1]) == (1, 2) for w in windows)
    at = 0  # the windows, laid over one another, are the text
    for window in windows:
        body = window[1:-1]
        starts = [s for s in range(at + 1) if whole[s : s + len(body)] == body]
        assert starts
        at = max(at, starts[-1] + len(body))
    assert at == len(whole)


def test_a_long_passage_holds_what_any_of_its_windows_holds() -> None:
    encoder = make(max_tokens=12)
    filler = "river " * 60
    for text in (f"bomb {filler}", f"{filler} bomb {filler}", f"{filler} bomb"):
        assert encoder.logits([text])[0, 0] == 2.0
        assert 0 < encoder.embed([text])[0, 0] < 4.0


# ---- the same numbers whatever stands beside


@given(texts=st.lists(words, min_size=1, max_size=20), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_row_depends_on_its_own_text_only(texts: list[str], seed: int) -> None:
    alone = np.concatenate([ENCODERS[0].logits([t]) for t in texts])
    order = random.Random(seed).sample(range(len(texts)), len(texts))
    for encoder in ENCODERS:
        together = encoder.logits([texts[i] for i in order])
        np.testing.assert_array_equal(together, alone[order])


ENCODERS = [make(threads=1), make(threads=3)]


def test_equal_texts_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make()
    rows: list[int] = []
    run = encoder._run
    monkeypatch.setattr(encoder, "_run", lambda r, o: rows.append(len(r)) or run(r, o))
    got = encoder.logits(["a bomb", "a  bomb", "A bomb", "calm"])
    assert rows == [2]
    np.testing.assert_array_equal(got[0], got[2])


def test_batches_hold_one_length_and_are_never_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make(max_tokens=512)
    shapes = []

    class Watching:
        def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            shapes.append(feed["input_ids"].shape)
            assert np.ptp(-(-feed["attention_mask"].sum(1) // 8)) == 0
            return session.run(outputs, feed)

    session = encoder._session
    monkeypatch.setattr(encoder, "_session", Watching())
    encoder.logits([f"river {'the ' * n}" + "bomb " * m for n in range(90) for m in range(9)])
    assert all(rows >= 2 and tokens % 8 == 0 for rows, tokens in shapes)
    assert all(rows == 2 or rows * tokens <= module.BATCH_TOKENS for rows, tokens in shapes)


def test_the_shipped_encoder_keeps_its_promise() -> None:
    """Bit for bit the same, alone or together, in any order, on any number of threads."""
    bundle = open_bundle(find_bundle("core-en"))
    assert bundle.max_tokens is not None
    one, two = (
        Encoder(
            bundle.files["model.onnx"],
            bundle.files["tokenizer.json"],
            max_tokens=bundle.max_tokens,
            threads=threads,
        )
        for threads in (1, 2)
    )
    draw = random.Random(5)
    lexicon = [
        word
        for label in bundle.codebook.labels
        for text in (label.definition, *label.positives)
        for word in text.split()
    ]
    texts = [" ".join(draw.choices(lexicon, k=draw.randint(1, 90))) for _ in range(40)]
    texts.append(" ".join(draw.choices(lexicon, k=400)))
    alone = np.concatenate([one.logits([text]) for text in texts])
    order = draw.sample(range(len(texts)), len(texts))
    np.testing.assert_array_equal(one.logits(texts), alone)
    np.testing.assert_array_equal(two.logits([texts[i] for i in order]), alone[order])
    np.testing.assert_array_equal(two.embed(texts), one.embed(texts))


# ---- models and tokenizers that do not work


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (tiny.onnx_model(logits="scores"), "its outputs must be logits"),
        (b"", "model.onnx: is refused"),
        (b"not a model", "model.onnx: is refused"),
        (tiny.onnx_model(weights=b"\0" * 8), "model.onnx: "),
        (tiny.onnx_model(weights=struct.pack("<f", float("nan")) * 54), "not finite"),
    ],
)
def test_a_model_of_another_shape_is_refused(model: bytes, why: str) -> None:
    with pytest.raises(BundleError) as caught:
        make(model=model)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refusals_are_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for spoiled in (b"\xff" * 9, b"somewhere"):  # not UTF-8, and an edge from nowhere
        with pytest.raises(BundleError, match=r"model\.onnx: is refused"):
            make(model=tiny.onnx_model().replace(b"looked_up", spoiled, 1))
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_that_numbers_beyond_the_model_is_refused() -> None:
    table = tiny.tokenizer_table()
    table["model"]["vocab"]["."] = 5000  # type: ignore[index]
    with pytest.raises(BundleError, match=r"model\.onnx: does not run"):
        Encoder(tiny.onnx_model(), json.dumps(table).encode(), max_tokens=32)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[]", b'{"model": {"type": "BPE"}}'])
def test_a_tokenizer_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json: is refused"):
        Encoder(tiny.onnx_model(), data, max_tokens=32)


def test_a_panic_in_the_tokenizer_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    class Broken:
        def encode(self, text: str) -> None:
            raise Panic("index out of bounds")

    encoder = make()
    monkeypatch.setattr(encoder, "_tokenizer", Broken())
    with pytest.raises(BundleError, match=r"tokenizer\.json: fails on a text \(index out"):
        encoder.logits(["x"])

"""Training, whole: a tiny real transformer learns, is exported, calibrated, bundled, resumed."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

import framing
from framing.codebook.codebook import Codebook
from framing.codebook.coded import Coded
from framing.model.bundle import open_bundle, rewrite_manifest
from framing.train.examples import training_examples
from framing.train.finetune import Net, finetune, masked_loss
from framing.train.pipeline import train
from framing.train.recipe import Recipe, TrainingError
from framing.train.start import start_from

pytestmark = pytest.mark.train

CODEBOOK = Codebook.from_yaml(
    "name: weather\nversion: 1\nlabels:\n  rain: It rains.\n  sun: The sun shines.\n"
)
WORDS = "the a town today rain wet flood sun bright warm said minister people and was very".split()
RECIPE = Recipe(epochs=3, learning_rate=3e-3, batch_size=16, max_tokens=32, average=0.9)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def coded():
    rng = np.random.default_rng(0)
    texts, targets = [], []
    for _ in range(320):
        words = list(rng.choice(WORDS, 8))
        texts.append(" ".join(words))
        targets.append([float("rain" in words), float("sun" in words)])
    return Coded(
        ids=tuple(f"p{i}" for i in range(320)),
        texts=tuple(texts),
        labels=CODEBOOK.names,
        targets=np.array(targets),
        groups=tuple(f"d{i // 2}" for i in range(320)),
        columns={},
    )


@pytest.fixture(scope="module")
def bundle(coded, encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "weather"
    train(coded, CODEBOOK, out, encoder=encoder, recipe=RECIPE)
    return out


def test_a_trained_bundle_loads_and_has_learned(bundle):
    model = framing.load(bundle)
    assert model.labels == ("rain", "sun")
    p = model.predict_proba(["rain rain wet flood", "sun bright sun warm"])
    assert p[0, 0] > p[1, 0]
    assert p[1, 1] > p[0, 1]


def test_nothing_is_left_beside_the_bundle(bundle):
    assert {p.name for p in bundle.parent.rglob("*") if p.is_file()} == {
        p.name for p in bundle.iterdir()
    }


def test_the_record_names_what_was_trained_and_how(bundle, coded):
    record = json.loads((bundle / "training.json").read_text())
    assert record["passages"]["trained_on"] + record["passages"]["held_out"] == len(coded)
    assert record["torch_onnx_difference"] < 1e-4
    assert record["recipe"]["epochs"] == 3


class Crash(Exception):
    pass


def test_a_resumed_run_writes_the_same_weights(coded, encoder, bundle, tmp_path):
    def die_in_the_second_epoch(progress):
        if progress.epoch == 1 and progress.step == 3:
            raise Crash

    out = tmp_path / "weather"
    with pytest.raises(Crash):
        train(coded, CODEBOOK, out, encoder=encoder, recipe=RECIPE, on_step=die_in_the_second_epoch)
    epochs = []
    train(
        coded,
        CODEBOOK,
        out,
        encoder=encoder,
        recipe=RECIPE,
        on_step=lambda p: epochs.append(p.epoch),
    )
    assert min(epochs) == 1
    for name in ("model.onnx", "decisions.json"):
        assert (out / name).read_bytes() == (bundle / name).read_bytes()


def test_another_recipe_does_not_go_on_from_the_checkpoint(coded, encoder, tmp_path):
    examples = training_examples(coded)
    finetune(examples, start_from(encoder), RECIPE, tmp_path)
    epochs = []
    other = Recipe(epochs=1, learning_rate=1e-3, batch_size=16, max_tokens=32)
    finetune(examples, start_from(encoder), other, tmp_path, lambda p: epochs.append(p.epoch))
    assert min(epochs) == 0


def test_the_parallel_corpus_says_nothing_of_labels_it_does_not_know(coded):
    from framing.codebook.parallel import Telling

    telling = Telling("e1", "weather", "telling", ("rain",), "It rains in {A.capital}.")
    examples = training_examples(coded, [telling])
    rain, sun = examples.targets[-1]
    assert rain == 1
    assert np.isnan(sun)
    texts, targets = examples.draw(np.random.default_rng(0))
    assert "{" not in texts[-1]
    np.testing.assert_array_equal(targets, examples.targets)


def test_missing_is_not_negative():
    logits = torch.zeros(1, 2, requires_grad=True)
    masked_loss(logits, torch.tensor([[1.0, float("nan")]])).backward()
    assert logits.grad[0, 0] != 0
    assert logits.grad[0, 1] == 0


def test_training_goes_on_from_a_bundle(coded, encoder, bundle, tmp_path):
    start = start_from(str(bundle))
    texts = list(coded.texts[:20])
    net = Net(start, CODEBOOK.names, 0.1).eval()
    ids = [e.ids for e in start.tokenizer.encode_batch(texts)]
    with torch.no_grad():
        logits, _ = net(torch.tensor(ids), torch.tensor(ids) != 0)
    probabilities = open_bundle(bundle).decisions.calibrate(logits.numpy())
    np.testing.assert_allclose(probabilities, framing.load(bundle).predict_proba(texts), atol=0.03)

    once = Recipe(epochs=1, learning_rate=1e-3, batch_size=16, max_tokens=32, average=0.9)
    again = train(coded, CODEBOOK, tmp_path / "on", encoder=str(bundle), recipe=once)
    assert again.record["started_from"].startswith("weather (")
    chained = start_from(str(again.folder))
    assert chained.head[0] == CODEBOOK.names


def test_another_codebook_gets_a_new_head(bundle):
    start = start_from(str(bundle))
    torch.manual_seed(0)
    net = Net(start, ("rain", "snow"), 0.1)
    assert not torch.equal(net.head.weight, start.head[1]["weight"])


def test_a_bundle_without_architecture_cannot_be_trained_on(bundle, tmp_path):
    copy = tmp_path / "weather"
    shutil.copytree(bundle, copy)
    (copy / "training.json").unlink()
    rewrite_manifest(copy)
    with pytest.raises(TrainingError, match=r"cannot be trained on: its training.json tells no"):
        start_from(str(copy))


def test_the_baseline_trains_through_the_same_function(coded, tmp_path):
    trained = train(coded, CODEBOOK, tmp_path / "lin", encoder="tfidf", recipe=RECIPE)
    model = framing.load(trained.folder)
    p = model.predict_proba(["rain wet", "sun warm"])
    assert p[0, 0] > p[1, 0]

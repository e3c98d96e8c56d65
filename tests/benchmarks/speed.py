"""How fast is scoring? Passages a second against the plain `transformers` pipeline, in one run.

    python tests/benchmarks/speed.py [--passages 1000] [--model core-en] [--coded FILE]

Same weights, same passages, same process, two threads each. Needs the `train` extra. Prints the
ratio, both engines' share of the machine's measured float32 matrix rate, cold start and peak
memory. Passages are those of the parallel corpus that ships with framing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TextClassificationPipeline,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

import framing
from framing.codebook.codebook import Codebook
from framing.codebook.coded import read_coded
from framing.codebook.parallel import fill, tellings
from framing.model.bundle import find_bundle
from framing.model.classifier import Model
from framing.model.encoder import Encoder
from framing.text.document import Document
from framing.text.normalize import normalize
from framing.train.start import start_from

THREADS = 2
HIDDEN, INNER, LAYERS = 384, 1536, 6


class Twin(PreTrainedModel):
    """The bundle's own weights as a plain transformers classifier."""

    config_class = BertConfig
    _supports_sdpa = True

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.head = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask, token_type_ids=None):  # type: ignore[no-untyped-def]
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        weight = attention_mask.unsqueeze(-1).float()
        return SequenceClassifierOutput(logits=self.head((hidden * weight).sum(1) / weight.sum(1)))


def twin_of(folder: Path) -> Twin:
    """The bundle's weights, out of its ONNX graph, in float32 as transformers would run them."""
    start = start_from(str(folder))
    assert start.head is not None
    labels, head = start.head
    config = start.encoder.config
    config.num_labels = len(labels)
    twin = Twin(config)
    twin.encoder = start.encoder
    twin.head.load_state_dict(head)
    return twin.eval()


def seconds(work: Callable[[], object], repeat: int = 1) -> float:
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def matrix_rate() -> float:
    """float32 multiply-adds a second, times two, of a product shaped like the encoder's."""
    a, b = torch.randn(4096, HIDDEN), torch.randn(HIDDEN, INNER)
    a @ b
    return 20 * 2 * 4096 * HIDDEN * INNER / seconds(lambda: [a @ b for _ in range(20)], 3)


# In a process of its own: a child of this large one would be told this one's peak as its own.
COLD = """
import resource, subprocess, sys, time
text = b"The ministry said on Tuesday that the bridge would reopen in May.\\n"
command = [sys.executable, "-m", "framing", "score", "-", "--format", "json"]
began = time.perf_counter()
subprocess.run(command, input=text, stdout=subprocess.DEVNULL, check=True)
taken = time.perf_counter() - began
print(taken, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def cold_start() -> tuple[float, float]:
    """Seconds and peak MB of `framing score` on a file of one sentence; the median of five."""
    runs = [
        tuple(map(float, subprocess.check_output([sys.executable, "-c", COLD]).split()))
        for _ in range(5)
    ]
    return sorted(runs)[2]


def passages(number: int, coded: str | None) -> list[str]:
    rng = np.random.default_rng(0)
    if coded:
        texts = list(read_coded(coded, Codebook.load("core")).texts)
    else:
        texts = [fill(telling, rng) for telling in tellings()]
    rows = rng.choice(len(texts), min(number, len(texts)), replace=False)
    return [normalize(texts[i]).text for i in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--model", default="core-en")
    parser.add_argument("--coded", help="take passages from this file instead")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    texts = passages(options.passages, options.coded)
    cold, cold_mb = cold_start()
    model: Model = framing.load(options.model)
    folder = find_bundle(options.model)
    encoder = Encoder(
        (folder / "model.onnx").read_bytes(),
        (folder / "tokenizer.json").read_bytes(),
        max_tokens=256,
        threads=THREADS,
    )
    twin = twin_of(folder)
    logging.set_verbosity(logging.CRITICAL)  # it warns that Twin is none of its own classes
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token="[PAD]",
        model_max_length=256,
    )
    pipeline = TextClassificationPipeline(
        model=twin, tokenizer=tokenizer, function_to_apply="none", top_k=None
    )
    tokens = sum(map(len, tokenizer(texts, truncation=True)["input_ids"]))
    rates = {}
    for size in (1, 8, 16, 32, 64):
        part = texts[: max(200, options.passages // 4)]
        rates[size] = len(part) / seconds(lambda s=size, p=part: pipeline(p, batch_size=s))
    best = max(rates, key=lambda size: rates[size])
    rows_by_label = []
    pipeline_s = seconds(
        lambda: rows_by_label.extend(pipeline(texts, batch_size=best, truncation=True))
    )
    model.predict_proba(texts[:16])
    ours_s = seconds(lambda: model.predict_proba(texts), 2)
    documents = [Document(id=str(i), text=text) for i, text in enumerate(texts)]
    whole_s = seconds(lambda: list(model.score_many(documents)))
    ours = encoder.logits(texts)
    names = {f"LABEL_{j}": j for j in range(len(model.labels))}
    theirs = np.array(
        [[x["score"] for x in sorted(r, key=lambda x: names[x["label"]])] for r in rows_by_label]
    )
    # two multiply-adds a weight a token, and attention's two products over the passage's tokens
    weights = LAYERS * (4 * HIDDEN**2 + 2 * HIDDEN * INNER)
    operations = 2 * weights * tokens + LAYERS * 4 * HIDDEN * tokens**2 / len(texts)
    peak = matrix_rate()
    print(
        json.dumps(
            {
                "passages": len(texts),
                "tokens_a_passage": round(tokens / len(texts), 1),
                "pipeline_passages_a_second": {k: round(v) for k, v in rates.items()},
                "pipeline_best_batch_size": best,
                "pipeline": round(len(texts) / pipeline_s),
                "framing_predict_proba": round(len(texts) / ours_s),
                "framing_score_many": round(len(texts) / whole_s),
                "ratio": round(pipeline_s / ours_s, 2),
                "largest_logit_difference": float(np.abs(ours - theirs).max()),
                "decisions_that_differ": float(((ours > 0) != (theirs > 0)).mean()),
                "matrix_gflops": round(peak / 1e9),
                "share_of_matrix_rate": round(operations / ours_s / peak, 2),
                "pipeline_share_of_matrix_rate": round(operations / pipeline_s / peak, 2),
                "cold_start_seconds": round(cold, 2),
                "cold_start_peak_mb": round(cold_mb),
                "this_process_peak_mb": round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                ),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

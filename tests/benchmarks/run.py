"""How fast is a run, end to end? Articles and passages a second, and what the time goes into.

    python tests/benchmarks/run.py ARTICLES... [--documents 2000] [--model core-en] [--cores 2]

Reads a sample of ARTICLES (anything `framing run` reads), evenly spread, and in one go measures on
it `framing run` (read, segment, score, commit) with one worker on one core and a worker on each of
--cores; (a) the plain `transformers` pipeline fed by `datasets`, with the same passages and
weights; (b) the encoder alone on passages tokenised beforehand; (c) the machine's matrix rate. (a)
and (c) need the `train` extra and are left out without it. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import framing
from framing.corpus.inputs import find_sources, items, resolve
from framing.model.bundle import find_bundle, open_bundle
from framing.model.encoder import Encoder
from framing.model.manifest import MODEL, TOKENIZER
from framing.text.columns import Choice
from framing.text.document import Document
from framing.text.normalize import normalize

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(framing.__file__).parents[1])}


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def sample(inputs: list[str], documents: int) -> list[Document]:
    """Evenly spread over the input, in its order."""
    sources = find_sources(inputs).sources
    count = sum(1 for source in sources for _ in items(source, Choice()))
    every = max(1, count // documents)
    chosen = (item for source in sources for item in items(source, Choice()))
    read = (resolve(item) for i, item in enumerate(chosen) if i % every == 0)
    return [document for document in read if isinstance(document, Document)][:documents]


def write(documents: list[Document], path: Path) -> None:
    rows = [
        {"id": d.id, "title": d.title, "text": d.text[d.body_start :], "source": d.source}
        for d in documents
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def run(
    path: Path, out: Path, model: str, workers: int, cores: list[int], *more: str
) -> dict[str, float]:
    """One `framing run` on these cores: documents, passages, seconds, peak megabytes of memory."""
    command = [sys.executable, "-m", "framing", "run", path, "-o", out, "-m", model]
    process = subprocess.Popen(
        [
            *map(str, command),
            "--workers",
            str(workers),
            "--shard-documents",
            "64",
            "--any-language",
            "--log-json",
            *more,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    began, peak = time.perf_counter(), 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.1)
    wall = time.perf_counter() - began
    assert process.stderr is not None
    told = process.stderr.read().splitlines()
    if process.returncode not in (0, 1):
        raise SystemExit("\n".join(told))
    done = json.loads(told[-1])
    return {
        "documents": done["documents"],
        "passages": done["passages"],
        "seconds": round(wall, 1),
        "articles_a_second": round(done["documents"] / wall, 2),
        "passages_a_second": round(done["passages"] / wall, 1),
        "peak_mb": round(peak / 2**20),
    }


def resident(session: int) -> int:
    """Bytes of memory that all processes of a session hold."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone
        if int(fields[3]) == session:
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total


def passages_of(out: Path, documents: list[Document]) -> list[str]:
    """The clean text of every passage that the run scored, in its order."""
    table = pq.read_table(out / "passages", columns=["position", "start", "end"])
    places = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return [normalize(documents[i].text[start:end]).text for i, start, end in places]


def encoder_alone(model: str, texts: list[str], threads: int) -> tuple[float, int]:
    """Seconds for logits of passages that are tokens already, and how many tokens they are."""
    bundle = open_bundle(find_bundle(model))
    if bundle.max_tokens is None:
        raise SystemExit(f"{model} has no encoder: measure one that has")
    encoder = Encoder(
        bundle.files[MODEL],
        bundle.files[TOKENIZER],
        max_tokens=bundle.max_tokens,
        threads=threads,
    )
    rows = [ids for text in texts for ids in encoder.windows(text)]
    encoder._run(rows[:64], encoder._logits)
    taken = seconds(lambda: encoder._run(rows, encoder._logits))
    return taken, sum(map(len, rows))


def pipeline(model: str, texts: list[str], threads: int) -> dict[str, Any]:
    """The best of some batch sizes, tried on a part; then all passages."""
    import torch
    from datasets import Dataset
    from speed import HIDDEN, INNER, LAYERS, matrix_rate, twin_of
    from transformers import PreTrainedTokenizerFast, TextClassificationPipeline
    from transformers.pipelines.pt_utils import KeyDataset
    from transformers.utils import logging

    torch.set_num_threads(threads)
    logging.set_verbosity(logging.CRITICAL)
    folder = find_bundle(model)
    bundle = open_bundle(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER),
        pad_token="[PAD]",
        model_max_length=bundle.max_tokens,
    )
    classify = TextClassificationPipeline(
        model=twin_of(folder),
        tokenizer=tokenizer,
        function_to_apply="none",
        top_k=None,
    )

    def rate(part: list[str], size: int) -> float:
        fed = KeyDataset(Dataset.from_dict({"text": part}), "text")
        return len(part) / seconds(
            lambda: sum(1 for _ in classify(fed, batch_size=size, truncation=True))
        )

    few = texts[:: max(1, len(texts) // 400)]
    tried = {size: rate(few, size) for size in (1, 8, 16, 32, 64)}
    best = max(tried, key=lambda size: tried[size])
    tokens = sum(map(len, tokenizer(texts, truncation=True)["input_ids"]))
    weights = LAYERS * (4 * HIDDEN**2 + 2 * HIDDEN * INNER)
    return {
        "passages_a_second": round(rate(texts, best), 1),
        "batch_size": best,
        "matrix_gflops": round(matrix_rate() / 1e9),
        "operations": 2 * weights * tokens + LAYERS * 4 * HIDDEN * tokens**2 / len(texts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("articles", nargs="+")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--model", default="core-en")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    documents = sample(options.articles, options.documents)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "sample.parquet"
        write(documents, path)
        one = run(path, folder / "one", options.model, 1, cores[:1])
        several = run(path, folder / "several", options.model, len(cores), cores)
        texts = passages_of(folder / "several", documents)
    os.sched_setaffinity(0, cores)
    taken, tokens = encoder_alone(options.model, texts, len(cores))
    alone = len(texts) / taken
    ours = several["passages_a_second"]
    figures: dict[str, Any] = {
        "cores": len(cores),
        "one_worker": one,
        "a_worker_a_core": several,
        "times_one_worker": round(ours / one["passages_a_second"], 2),
        "tokens_a_passage": round(tokens / len(texts), 1),
        "encoder_alone_passages_a_second": round(alone, 1),
        "share_of_encoder_alone": round(ours / alone, 3),
        "time_outside_the_encoder": round(1 - ours / alone, 3),
    }
    print(json.dumps(figures), file=sys.stderr)  # the pipeline takes longest
    try:
        theirs = pipeline(options.model, texts, len(cores))
    except ImportError as error:
        figures["pipeline"] = f"left out: {error.name} is not installed (the train extra has it)"
    else:
        operations, peak = theirs.pop("operations"), theirs["matrix_gflops"] * 1e9
        figures["pipeline"] = theirs
        figures["times_pipeline"] = round(ours / theirs["passages_a_second"], 2)
        figures["share_of_matrix_rate"] = round(operations / several["seconds"] / peak, 3)
        figures["encoder_share_of_matrix_rate"] = round(operations / taken / peak, 3)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

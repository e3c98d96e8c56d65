"""Is the evidence right? Deleting the top span against deleting a random span as long.

    python tests/benchmarks/evidence.py [--model core-en] [--texts passages.parquet] [-n 300]

For every label that holds in a passage, the span that `framing` names is deleted, and so are
random spans of as many words elsewhere in the passage. Printed is the share of labels for which
the named span lowers the logit more, with a 95 % bootstrap interval over passages. Without
`--texts` (a parquet file with a column "text") the codebook's own examples are used.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from framing.model.classifier import Model, load
from framing.model.evidence import _WORD, find_evidence, without
from framing.model.scored import Decision
from framing.text.normalize import normalize

DRAWS = 10  # random spans per label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="core-en")
    parser.add_argument("--texts")
    parser.add_argument("-n", type=int, default=300, help="passages, drawn at random")
    options = parser.parse_args()
    model = load(options.model)
    random = np.random.default_rng(0)
    texts = passages(model, options.texts)
    texts = [texts[i] for i in random.permutation(len(texts))[: options.n]]
    started = time.perf_counter()
    wins = measure(model, [normalize(text).text for text in texts], random)
    seconds = time.perf_counter() - started
    for name in [*model.labels, "all"]:
        chosen = [[w for label, w in each if name in (label, "all")] for each in wins]
        chosen = [each for each in chosen if each]
        if chosen:
            share, low, high = interval(chosen, random)
            labels = sum(map(len, chosen))
            print(f"{name:24}{share:7.1%}  [{low:.1%}, {high:.1%}]  {labels} labels")
    print(f"{len(texts)} passages, {seconds:.0f} s, random spans included")


def passages(model: Model, path: str | None) -> list[str]:
    """The texts of a parquet file, or the codebook's examples."""
    if path is None:
        labels = model.codebook.labels
        return [t for x in labels for t in (*x.positives, *(m.text for m in x.near_misses))]
    import pyarrow.parquet as pq

    return [str(t) for t in pq.read_table(path, columns=["text"])["text"].to_pylist()]


def measure(
    model: Model, texts: list[str], random: np.random.Generator
) -> list[list[tuple[str, float]]]:
    """For each passage, each label that holds with the share of random spans that were beaten."""
    whole = model._engine.logits(texts)
    decided = [decisions for _, decisions in model._decide(model._calibrate(whole), None)]
    targets = [[j for j, d in enumerate(row) if d is Decision.YES] for row in decided]
    found = find_evidence(texts, whole, targets, model._engine.logits, model._calibrate)
    jobs: list[tuple[int, int, list[str]]] = []
    for i, (text, evidence) in enumerate(zip(texts, found, strict=True)):
        words = [m.span() for m in _WORD.finditer(text)]
        for label, spans in evidence.items():
            if not spans:
                jobs.append((i, label, []))
                continue
            top = spans[0]
            inside = [w for w in words if w[1] > top.start and w[0] < top.end]
            size = len(inside)
            starts = [k for k in range(len(words) - size + 1) if words[k] != inside[0]]
            if starts:
                cuts = [(words[k][0], words[k + size - 1][1]) for k in random.choice(starts, DRAWS)]
                cuts.insert(0, (top.start, top.end))
                jobs.append((i, label, [without(text, *cut) for cut in cuts]))
    rows = iter(model._engine.logits([v for _, _, variants in jobs for v in variants]))
    wins: list[list[tuple[str, float]]] = [[] for _ in texts]
    for i, label, variants in jobs:
        scores = [float(next(rows)[label]) for _ in variants]
        beaten = float(np.mean(np.array(scores[1:]) > scores[0])) if scores else 0.0
        wins[i].append((model.labels[label], beaten))
    return wins


def interval(wins: list[list[float]], random: np.random.Generator) -> tuple[float, float, float]:
    """The mean over labels, with a bootstrap interval over passages."""
    sums, counts = np.array([sum(w) for w in wins]), np.array([len(w) for w in wins])
    drawn = random.integers(len(wins), size=(2000, len(wins)))
    shares = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return sums.sum() / counts.sum(), float(low), float(high)


if __name__ == "__main__":
    main()

"""Measure sentence splitters on our torture list: python tests/benchmarks/sentences.py [TEXT...].

Rivals that are not installed are left out (pip install pysbd blingfire syntok nltk numpy). Speed
is taken on the files named, one call a line; punkt has no model that can be had offline and is
trained on the same files, for which a few megabytes of news are needed.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from sentencex import get_sentence_boundaries

from framing.text.sentences import sentence_spans

Splitter = Callable[[str], list[str]]
CASES = Path(__file__).with_suffix(".jsonl")


def framing_splitter(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text)]


def sentencex_splitter(text: str) -> list[str]:
    return [s["text"] for s in get_sentence_boundaries("en", text)]


def regex_splitter(text: str) -> list[str]:
    return re.split(r"(?<=[.!?…])[\"”’»)]*\s+(?=[\"“‘«(]*[A-Z0-9])", text)


def splitters(corpus: str) -> dict[str, Splitter]:
    found: dict[str, Splitter] = {
        "framing (sentencex, corrected)": framing_splitter,
        "sentencex": sentencex_splitter,
    }
    if find_spec("blingfire"):
        import blingfire

        found["blingfire"] = lambda text: blingfire.text_to_sentences(text).split("\n")
    if find_spec("pysbd"):
        import pysbd

        found["pysbd"] = pysbd.Segmenter(language="en", clean=False).segment
    if find_spec("syntok"):
        from syntok import segmenter

        found["syntok"] = lambda text: [
            text[s[0].offset : s[-1].offset + len(s[-1].value)]
            for paragraph in segmenter.process(text)
            for s in paragraph
        ]
    if find_spec("nltk") and corpus:
        from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

        trainer = PunktTrainer()
        trainer.INCLUDE_ALL_COLLOCS = True
        trainer.train(corpus, finalize=True)
        found["nltk punkt"] = PunktSentenceTokenizer(trainer.get_params()).tokenize
    found["one regular expression"] = regex_splitter
    return found


def boundaries(sentences: list[str]) -> set[int]:
    """Count of visible characters before each boundary inside the text."""
    lengths = [len("".join(s.split())) for s in sentences if s.strip()]
    return set(accumulate(lengths[:-1]))


def measure(split: Splitter, cases: list[dict]) -> tuple[int, float, list[list[str]]]:
    """Count cases wholly right, boundary F1, and what came of the others."""
    hits = wrong = missed = 0
    failures = []
    for case in cases:
        got = boundaries(sentences := split(case["text"]))
        gold = min((boundaries(a) for a in case["accept"]), key=lambda g: len(g ^ got))
        hits, wrong, missed = (
            hits + len(got & gold),
            wrong + len(got - gold),
            missed + len(gold - got),
        )
        if got != gold:
            failures.append(sentences)
    return len(cases) - len(failures), 2 * hits / (2 * hits + wrong + missed), failures


def main() -> None:
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    corpus = "\n".join(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
    sets = {name: [c for c in cases if c["set"] == name] for name in ("tuned", "held_out")}
    print(
        "splitter", *(f"{name} ({len(part)}): right, F1" for name, part in sets.items()), sep=" | "
    )
    for name, split in splitters(corpus).items():
        row = [name]
        for part in sets.values():
            right, f1, failures = measure(split, part)
            row.append(f"{right} {right / len(part):.0%}, {f1:.3f}")
            if split is framing_splitter:
                print(*failures, sep="\n", file=sys.stderr)
        lines, count, started = iter(corpus.split("\n")), 0, time.process_time()
        while (line := next(lines, None)) is not None and time.process_time() < started + 3:
            count += len(split(line)) if line.strip() else 0
        row.append(f"{count / (time.process_time() - started):,.0f} sentences/s")
        print(*row, sep=" | ", flush=True)


if __name__ == "__main__":
    main()

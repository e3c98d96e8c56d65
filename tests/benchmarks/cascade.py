"""What does --fast gain, and what does it give up? Two runs over the same articles, compared.

    python tests/benchmarks/cascade.py ARTICLES... [--model core-en] [--documents 1000] [--cores 2]

Of ARTICLES (anything `framing run` reads) it samples those whose outlet the first stage never saw
while it was made (`first_stage.json` in the bundle lists them; all where none of them is there),
scores them with and without --fast, a worker on each core, and holds the tables against each other.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from run import run, write

from framing.corpus.inputs import find_sources, items, resolve
from framing.model.bundle import find_bundle, open_bundle
from framing.text.columns import Choice
from framing.text.document import Document


def sample(inputs: list[str], outlets: set[str], documents: int) -> tuple[list[Document], bool]:
    """Evenly spread over those of the outlets; whether there were any."""
    found = (
        resolve(item) for source in find_sources(inputs).sources for item in items(source, Choice())
    )
    read = [document for document in found if isinstance(document, Document)]
    unseen = [document for document in read if document.source in outlets]
    chosen = unseen or read
    return chosen[:: max(1, len(chosen) // documents)][:documents], bool(unseen)


def decisions(out: Path, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Of every passage 0 no, 1 yes, 2 unsure for each label; and its stage."""
    table = pq.read_table(out / "passages")
    yes, unsure = (table[name].to_pylist() for name in ("labels", "unsure"))
    answers = [
        [1 if label in a else 2 if label in b else 0 for label in labels]
        for a, b in zip(yes, unsure, strict=True)
    ]
    stage = table["stage"].to_numpy() if "stage" in table.column_names else None
    return np.array(answers, np.int8), stage


def compared(full: Path, fast: Path, labels: tuple[str, ...]) -> dict[str, Any]:
    one, _ = decisions(full, labels)
    two, stage = decisions(fast, labels)
    assert stage is not None
    kept, same = stage == 1, one == two
    figures: dict[str, Any] = {
        "passages_kept": round(float(kept.mean()), 4),
        "agreement_of_kept": round(float(same[kept].mean()), 4) if kept.any() else None,
        "kept_passages_with_no_change": round(float(same[kept].all(axis=1).mean()), 4),
        "agreement_of_all": round(float(same.mean()), 4),
        "handed_on_and_changed": int((~same[~kept]).sum()),  # must be none
    }
    figures["labels"] = {
        label: {
            "prevalence": round(float((one[:, j] == 1).mean()), 4),
            "prevalence_fast": round(float((two[:, j] == 1).mean()), 4),
            "yeses": int((one[:, j] == 1).sum()),
            "yeses_lost": int(((one[:, j] == 1) & (two[:, j] != 1)).sum()),
        }
        for j, label in enumerate(labels)
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("articles", nargs="+")
    parser.add_argument("--model", default="core-en")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    bundle = open_bundle(find_bundle(options.model))
    record = json.loads(bundle.files.get("first_stage.json", b"{}"))
    documents, unseen = sample(options.articles, set(record.get("outlets", ())), options.documents)
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(documents, folder / "sample.parquet")
        ran = {
            what: run(
                folder / "sample.parquet", folder / what, options.model, len(cores), cores, *more
            )
            for what, more in (("full", ()), ("fast", ("--fast",)))
        }
        figures = compared(folder / "full", folder / "fast", bundle.labels)
    times = ran["fast"]["passages_a_second"] / ran["full"]["passages_a_second"]
    about = {"cores": len(cores), "outlets_never_seen": unseen, **ran}
    print(json.dumps({**about, "times_as_fast": round(times, 2), **figures}, indent=1))


if __name__ == "__main__":
    main()

"""The shipped model on other people's labels, never trained on.

    python tests/benchmarks/public.py BENCHMARKS [-m core-en] [--core train.parquet] [--record]

BENCHMARKS is the folder of public data sets (none ships with framing; see its README for origins
and licences). Two ways: *zero-shot*, a label of ours against the nearest label of theirs, at our
threshold; *head*, a `FramingClassifier` fitted on their training part, over the frozen encoder.
Articles that the core training file holds passages of (`--core`) are left out. Intervals: 95 %
bootstrap over documents where the set names them, else over texts.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, matthews_corrcoef
from sklearn.model_selection import GroupKFold

from framing import load
from framing.codebook.parallel import fill, held_out, tellings
from framing.model.bundle import find_bundle
from framing.model.classifier import Model
from framing.model.estimator import FramingClassifier
from framing.train.card import keep_record

VOICES = [
    "official_source",
    "analyst_quote",
    "anonymous_source",
    "media_relay",
    "participant_source",
]
REPEATS = 500
Row = dict[str, Any]


class Once:
    """A model that computes each text once: folds and label pairs ask for the same ones."""

    def __init__(self, model: Model) -> None:
        self.labels, self.thresholds = model.labels, model.thresholds
        self.name, self.fingerprint = model.name, model.fingerprint
        self._model = model
        self._known: dict[str, dict[str, np.ndarray]] = {"predict_proba": {}, "embed": {}}

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """As of the model."""
        return self._once("predict_proba", texts)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """As of the model."""
        return self._once("embed", texts)

    def _once(self, what: str, texts: Sequence[str]) -> np.ndarray:
        known = self._known[what]
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, getattr(self._model, what)(new), strict=True))
        return np.array([known[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-m", "--model", default="core-en")
    parser.add_argument("--core", type=Path)
    parser.add_argument("-n", type=int, default=2000, help="at most so many texts of a set")
    parser.add_argument("--record", action="store_true", help="in the bundle and its card")
    options = parser.parse_args()
    started = time.monotonic()
    model = Once(load(options.model))
    used = set(pd.read_parquet(options.core).document) if options.core else set()
    rows: list[Row] = []
    for measure in (
        parallel,
        babe,
        checkthat,
        newsdiscourse,
        clickbait,
        anonymous,
        polnear,
        basil,
        ptc,
        semeval,
    ):
        for row in measure(model, options.folder, options.n, used):
            rows.append(row)
            low, high = row["interval"]
            print(
                f"{row['set']:28}{row['ours']:42}{row['way']:10}{row['metric']:22}"
                f"{row['value']:.3f} [{low:.3f}, {high:.3f}]  n {row['n']:>5}  {row['published']}",
                flush=True,
            )
    print(f"{time.monotonic() - started:.0f} s")
    if options.record:
        keep_record(find_bundle(options.model), "benchmarks", {"rows": rows, "table": table(rows)})


def table(rows: Sequence[Row]) -> str:
    """The figures in Markdown."""
    lines = [
        "| set | our label | way | metric | measured | n | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        low, high = r["interval"]
        figure = f"{r['value']:.2f} ({low:.2f}-{high:.2f})".replace("0.", ".")
        cells = [r["set"], r["ours"], r["way"], r["metric"], figure, r["n"], r["published"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def macro(y: np.ndarray, yes: np.ndarray) -> float:
    """Macro-F1 of two classes."""
    return float(f1_score(y, yes, average="macro"))


def row(
    name: str,
    ours: str,
    way: str,
    metric: str,
    score: Callable[..., float],
    columns: Sequence[np.ndarray],
    groups: Sequence[object],
    published: str = "",
) -> Row:
    """One figure with its interval: `score` of the columns, resampled by group."""
    members = (
        pd.Series(range(len(columns[0]))).groupby(pd.factorize(pd.Series(groups))[0]).apply(list)
    )
    rng = np.random.default_rng(0)
    values = []
    for _ in range(REPEATS):
        index = np.concatenate(
            [members.iloc[i] for i in rng.integers(len(members), size=len(members))]
        )
        values.append(score(*(c[index] for c in columns)))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return {
        "set": name,
        "ours": ours,
        "way": way,
        "metric": metric,
        "value": float(score(*columns)),
        "interval": [float(low), float(high)],
        "n": len(columns[0]),
        "published": published,
    }


def sample(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """At most `n` rows that hold a text, drawn at random."""
    table = table[table.text.map(lambda text: isinstance(text, str) and bool(text.strip()))]
    return table.sample(min(n, len(table)), random_state=0).reset_index(drop=True)


def held(model: Once, texts: Sequence[str], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Whether any of `labels` holds, and the highest of their probabilities."""
    p = model.predict_proba(list(texts))
    columns = [model.labels.index(label) for label in labels]
    thresholds = np.array([model.thresholds[label] for label in labels])
    return (p[:, columns] >= thresholds).any(1), p[:, columns].max(1)


def parallel(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    """The events of our own corpus that no model was trained on, all labels."""
    kept = [t for t in tellings() if held_out(t.event)]
    rng = np.random.default_rng(0)
    p = model.predict_proba([fill(t, rng) for t in kept])
    y = np.array([[label in t.labels for label in model.labels] for t in kept])
    yes = p >= np.array([model.thresholds[label] for label in model.labels])
    name, events = "Parallel corpus, held-out events", [t.event for t in kept]

    def precision(a: np.ndarray, b: np.ndarray) -> float:
        return float(average_precision_score(a, b, average="macro"))

    return [
        row(name, "all labels", "zero-shot", "macro-F1", macro_labels, (y, yes), events),
        row(name, "all labels", "zero-shot", "average precision", precision, (y, p), events),
    ]


def macro_labels(y: np.ndarray, yes: np.ndarray) -> float:
    """Macro-F1 over labels."""
    return float(f1_score(y, yes, average="macro", zero_division=0))


def babe(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "babe" / "data.parquet")
    d = d[(d.set == "SG2") & d.label.isin(["Biased", "Non-biased"])].drop_duplicates("text")
    d = sample(d, n)
    y, groups = (d.label == "Biased").to_numpy(), d.news_link.fillna(d.id)
    published = ".804 to .838 (125 M parameters, trained on it)"
    rows = []
    for ours in (["loaded_language"], ["loaded_language", "commentary"]):
        yes, p = held(model, d.text, ours)
        name = " or ".join(ours)
        rows.append(
            row("BABE SG2", name, "zero-shot", "macro-F1", macro, (y, yes), groups, published)
        )
        rows.append(
            row(
                "BABE SG2",
                name,
                "zero-shot",
                "average precision",
                average_precision_score,
                (y, p),
                groups,
            )
        )
    found = np.zeros(len(d), bool)
    for train, test in GroupKFold(5).split(d, groups=groups):
        head = FramingClassifier(model).fit(d.text[train].tolist(), y[train])
        found[test] = head.predict(d.text[test].tolist())
    rows.append(
        row(
            "BABE SG2",
            "own labels, 5 folds by article",
            "head",
            "macro-F1",
            macro,
            (y, found),
            groups,
            published,
        )
    )
    return rows


def checkthat(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "checkthat2025_subjectivity" / "en.parquet")
    train, test = d[d.split == "train"], d[d.split == "dev_test"]
    y = (test.label == "SUBJ").to_numpy()
    published = ".744 (2024 winner)"
    rows = []
    for ours in (["commentary"], ["commentary", "loaded_language"]):
        yes, _ = held(model, test.text, ours)
        rows.append(
            row(
                "CheckThat! 2024 en dev_test",
                " or ".join(ours),
                "zero-shot",
                "macro-F1",
                macro,
                (y, yes),
                test.id,
                published,
            )
        )
    head = FramingClassifier(model).fit(train.text.tolist(), train.label == "SUBJ")
    rows.append(
        row(
            "CheckThat! 2024 en dev_test",
            "own labels",
            "head",
            "macro-F1",
            macro,
            (y, head.predict(test.text.tolist())),
            test.id,
            published,
        )
    )
    return rows


def newsdiscourse(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "newsdiscourse_sentences" / "data.parquet")
    d = d[(d.split == "test") & ~("newsdiscourse/nd_" + d.doc_id).isin(used)]
    d = sample(d, n)
    rows = []
    for name, ours, y in (
        ("NA", ["boilerplate"], (d.label == "NA").to_numpy()),
        ("speech", VOICES, (d.speech.astype(str) == "True").to_numpy()),
    ):
        yes, p = held(model, d.text, ours)
        ours_name = "any voice" if len(ours) > 1 else ours[0]
        rows.append(
            row(f"NewsDiscourse {name}", ours_name, "zero-shot", "F1", f1_score, (y, yes), d.doc_id)
        )
        rows.append(
            row(
                f"NewsDiscourse {name}",
                ours_name,
                "zero-shot",
                "average precision",
                average_precision_score,
                (y, p),
                d.doc_id,
            )
        )
    return rows


def clickbait(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "clickbait_chakraborty2016" / "data.parquet")
    d = sample(d[~("clickbait_chakraborty2016/" + d.id).isin(used)], n)
    y = (d.label == "clickbait").to_numpy()
    yes, p = held(model, d.text, ["sensationalism"])
    published = ".93 accuracy (SVM, trained on it)"
    return [
        row(
            "Clickbait headlines",
            "sensationalism",
            "zero-shot",
            "macro-F1",
            macro,
            (y, yes),
            d.id,
            published,
        ),
        row(
            "Clickbait headlines",
            "sensationalism",
            "zero-shot",
            "average precision",
            average_precision_score,
            (y, p),
            d.id,
        ),
    ]


def anonymous(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = sample(pd.read_parquet(folder / "anonymous_sources" / "data.parquet"), n)
    yes, _ = held(model, d.text, ["anonymous_source"])
    return [
        row(
            "Anonymous sources",
            "anonymous_source",
            "zero-shot",
            "recall",
            np.mean,
            (yes,),
            d.doc_id,
        )
    ]


def polnear(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "polnear" / "sentences.parquet")
    d = sample(d[d.split == "test"], n)
    yes, _ = held(model, d.text, VOICES)
    labels = d.labels.map(lambda x: set(re.findall(r"\w+", str(x))))
    said = labels.map(lambda x: "attribution" in x).to_numpy()
    rows = [
        row(
            "PolNeAR test, attribution",
            "any voice",
            "zero-shot",
            "F1",
            f1_score,
            (said, yes),
            d.doc_id,
        )
    ]
    for kind in ("direct", "indirect"):
        index = labels.map(lambda x, kind=kind: f"quote_{kind}" in x).to_numpy()
        rows.append(
            row(
                f"PolNeAR test, {kind}",
                "any voice",
                "zero-shot",
                "recall",
                np.mean,
                (yes[index],),
                d.doc_id[index],
            )
        )
    return rows


def basil(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = sample(pd.read_parquet(folder / "basil" / "data.parquet"), n)
    y = d.labels.map(lambda x: "lexical_bias" in str(x)).to_numpy()
    yes, _ = held(model, d.text, ["loaded_language"])
    return [
        row(
            "BASIL lexical bias",
            "loaded_language",
            "zero-shot",
            "F1",
            f1_score,
            (y, yes),
            d.doc_id,
            ".24 (models trained on BABE)",
        ),
        row(
            "BASIL lexical bias",
            "loaded_language",
            "zero-shot",
            "MCC",
            matthews_corrcoef,
            (y, yes),
            d.doc_id,
            ".20 (models trained on BABE)",
        ),
    ]


def ptc(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "ptc_semeval2020" / "sentences.parquet")
    d = d[d.text.str.strip() != ""]
    d["y"] = d.is_propaganda.astype(str) == "True"
    train, test = sample(d[d.split == "train"], 2 * n), d[d.split == "dev"]
    head = FramingClassifier(model).fit(train.text.tolist(), train.y)
    p = head.predict_proba(test.text.tolist())[:, 1]
    inner = head.predict_proba(train.text.tolist())[:, 1]
    cuts = np.quantile(inner, np.linspace(0.3, 0.95, 60))
    cut = max(cuts, key=lambda c: f1_score(train.y, inner >= c))
    return [
        row(
            "PTC sentences, dev articles",
            "own labels",
            "head",
            "F1",
            f1_score,
            (test.y.to_numpy(), p >= cut),
            test.doc_id,
            ".688 dev, .632 test (winner 2019, BERT)",
        )
    ]


def semeval(model: Once, folder: Path, n: int, used: set[str]) -> list[Row]:
    d = pd.read_parquet(folder / "semeval2023_task3" / "subtask3_paragraphs.parquet")
    d = d[d.text.str.strip() != ""]
    sets = d.labels.map(lambda x: set(re.findall(r"[\w-]+", str(x))))
    names = sorted(set().union(*sets[d.split == "train"]))
    y = np.array([[name in held_here for name in names] for held_here in sets], int)
    train, test = (d.split == "train").to_numpy(), (d.split == "dev").to_numpy()
    head = FramingClassifier(model).fit(d.text[train].tolist(), y[train])
    yes = head.predict(d.text[test].tolist())

    def micro(a: np.ndarray, b: np.ndarray) -> float:
        return float(f1_score(a, b, average="micro", zero_division=0))

    return [
        row(
            "SemEval-2023 3.3 en dev",
            f"{len(names)} techniques",
            "head",
            "micro-F1",
            micro,
            (y[test], yes),
            d.doc_id[test],
            ".376 (winner, on the test set)",
        )
    ]


if __name__ == "__main__":
    main()

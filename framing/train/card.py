"""The model card: what a bundle is for, what it learned from, how well it does (Mitchell 2019)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framing.codebook.codebook import Codebook
from framing.model.bundle import open_bundle, rewrite_manifest

Record = Mapping[str, Any]


def render_card(
    name: str, codebook: Codebook, record: Record, metrics: Record | None = None
) -> str:
    """The card as Markdown; every number in it comes from `record` or `metrics`."""
    parts = [
        _HEAD.format(
            name=name,
            codebook=codebook.name,
            version=codebook.version,
            count=len(codebook.labels),
        )
    ]
    parts.append(_labels(codebook))
    parts.append("## Data\n\n" + (record["about_data"].strip() or "Not described."))
    parts.append(_training(record))
    parts.append(_figures(metrics) if metrics else "## Figures\n\nNot evaluated yet.")
    parts.append(_LIMITS)
    return "\n\n".join(parts) + "\n"


def record_metrics(folder: Path, metrics: Record) -> None:
    """Keep an evaluation in a bundle and render its card anew; the fingerprint stays.

    Raises
    ------
    BundleError
        Where `folder` is no intact bundle.
    """
    bundle = open_bundle(folder)
    record = json.loads(bundle.files["training.json"])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        new = Path(work) / folder.name
        shutil.copytree(folder, new)
        (new / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
        card = render_card(bundle.name, bundle.codebook, record, metrics)
        (new / "README.md").write_text(card, "utf-8")
        rewrite_manifest(new)
        replace_folder(new, folder)


def replace_folder(new: Path, old: Path) -> None:
    """Put `new` where `old` is, or was not yet; a crash in between leaves one of them whole."""
    aside = old.with_name(f".{old.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _labels(codebook: Codebook) -> str:
    rows = [f"| `{x.name}` | {x.group or ''} | {x.definition} |" for x in codebook.labels]
    return "\n".join(
        [
            f"## Labels\n\nCodebook `{codebook.name}` version {codebook.version}, fingerprint"
            f" `{codebook.fingerprint[:12]}`.\n",
            "| label | group | holds when |",
            "|---|---|---|",
            *rows,
        ]
    )


def _training(record: Record) -> str:
    passages = record["passages"]
    recipe = ", ".join(f"{k} {v}" for k, v in record["recipe"].items())
    versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    positives = ", ".join(f"{k} {v}" for k, v in record["positives"].items())
    seconds = record["seconds"]
    took = f"took {seconds / 60:.0f} minutes" if seconds else "was interrupted and resumed"
    lines = [
        "## Training",
        "",
        f"- Encoder: {record['encoder']}",
        f"- Passages: {passages['trained_on']:,} coded ones trained on,"
        f" {passages['parallel_corpus']:,} of our parallel corpus,"
        f" {passages['held_out']:,} held out by document for calibration and thresholds",
        f"- Positives per label in training: {positives}",
        f"- Recipe: {recipe}",
        f"- The run {took}, on {record['machine']}; {versions}",
    ]
    if "torch_onnx_difference" in record:
        lines.append(
            "- Largest difference of a logit between torch and ONNX:"
            f" {record['torch_onnx_difference']:.1e}"
        )
    return "\n".join(lines)


def _figures(metrics: Record) -> str:
    statement = "Thresholds and calibration never saw these passages."
    return f"## Figures\n\n{statement}\n\n{metrics['table']}"


_HEAD = """# {name}

Labels how a passage of news tells what it tells, by the codebook `{codebook}` version {version}:
any number of its {count} labels may hold, each with a calibrated probability.

**For** content analysis of English news by people who read what it labels: profiles of articles,
comparison of outlets and tellings, first passes over corpora whose figures are then corrected with
a coded sample.

**Not for** judging whether a passage is true, whether an outlet is trustworthy or what a person
intends; not for moderation, ranking or sanctioning of people or outlets; not for other languages.
The labels describe wording and attribution."""

_LIMITS = """## Known limits

- Coders of the training passages are language models that followed the codebook, not people;
  agreement between them is not validity.
- A passage is read alone: irony that only the article gives away is missed, and so is a speaker
  named one passage earlier.
- A probability is calibrated on passages drawn like the training passages, in which rare labels
  were enriched; on other corpora check it against a coded sample.
- Rare labels (`state_aligned`, `sensationalism`) are the least certain: see their intervals."""

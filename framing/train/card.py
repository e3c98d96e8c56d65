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
from framing.model.manifest import RECORDS

Record = Mapping[str, Any]


def render_card(name: str, codebook: Codebook, records: Mapping[str, Record]) -> str:
    """The card as Markdown; every number in it comes from a record.

    Parameters
    ----------
    records
        By name: "training" always; "metrics" (an evaluation), "audit", "first_stage" and
        "benchmarks" where they were measured.
    """
    training = records["training"]
    parts = [
        _HEAD.format(
            name=name,
            codebook=codebook.name,
            version=codebook.version,
            count=len(codebook.labels),
        ),
        _labels(codebook),
        "## Data\n\n" + (training["about_data"].strip() or "Not described."),
        _training(training),
        _measured("Figures", records.get("metrics"), _UNSEEN),
        _measured("Behaviour", records.get("audit"), _AUDIT),
        *([_measured("Fast runs", fast, _FAST)] if (fast := records.get("first_stage")) else []),
        _measured("Other people's labels", records.get("benchmarks"), _BENCHMARKS),
        _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def keep_record(folder: Path, what: str, record: Record) -> None:
    """Keep what was measured in a bundle and render its card anew; the fingerprint stays.

    Parameters
    ----------
    what
        "metrics", "audit", "first_stage" or "benchmarks"; `record` holds a Markdown "table" and
        the figures.

    Raises
    ------
    BundleError
        Where `folder` is no intact bundle.
    """
    bundle = open_bundle(folder)
    records = {
        name.removesuffix(".json"): json.loads(bundle.files[name])
        for name in RECORDS & set(bundle.files)
    }
    records[what] = record
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        new = Path(work) / folder.name
        shutil.copytree(folder, new)
        (new / f"{what}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        card = render_card(bundle.name, bundle.codebook, records)
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
    rows = [
        f"| `{x.name}` | {x.group or ''} | {x.definition} | {' '.join(x.positives[:1])} |"
        for x in codebook.labels
    ]
    return "\n".join(
        [
            f"## Labels\n\nCodebook `{codebook.name}` version {codebook.version}, fingerprint"
            f" `{codebook.fingerprint[:12]}`.\n",
            "| label | group | holds when | for example |",
            "|---|---|---|---|",
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


def _measured(title: str, record: Record | None, about: str) -> str:
    return f"## {title}\n\n" + (f"{about}\n\n{record['table']}" if record else "Not measured yet.")


_HEAD = """# {name}

Labels how a passage of news tells what it tells, by the codebook `{codebook}` version {version}:
any number of its {count} labels may hold, each with a calibrated probability.

**For** content analysis of English news by people who read what it labels: profiles of articles,
comparison of outlets and tellings, first passes over corpora whose figures are then corrected with
a coded sample.

**Not for** judging whether a passage is true, whether an outlet is trustworthy or what a person
intends; not for moderation, ranking or sanctioning of people or outlets; not for other languages.
The labels describe wording and attribution."""

_UNSEEN = "Thresholds and calibration never saw these passages."
_AUDIT = (
    "What `framing audit` measures: passages of our own, before and after one thing is changed."
)
_FAST = (
    "`framing run --fast` lets a small first stage decide the passages that it is certain of, and"
    " hands the rest to the encoder. What it gives up, on outlets that it never saw:"
)
_BENCHMARKS = "Public data sets, none of them trained on; intervals by document where one is named."

_LIMITS = """## Known limits

- Coders of the training passages are language models that followed the codebook, not people;
  agreement between them is not validity.
- A passage is read alone: irony that only the article gives away is missed, and so is a speaker
  named one passage earlier.
- A probability is calibrated on passages drawn like the training passages, in which rare labels
  were enriched; on other corpora check it against a coded sample.
- Rare labels (`state_aligned`, `sensationalism`) are the least certain: see their intervals."""

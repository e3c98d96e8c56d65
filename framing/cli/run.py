"""The command that scores a corpus."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from framing.cli.ending import (
    DONE,
    INTERRUPTED,
    SOME_FAILED,
    TERMINATED,
    WRONG_USE,
    ending_well,
    fail,
)
from framing.cli.options import (
    AnyLanguage,
    Bundle,
    MinConfidence,
    PassageUnit,
    TextColumn,
    Unit,
)

if TYPE_CHECKING:
    from framing.corpus.run import Engine


class EngineName(StrEnum):
    """Where the processes run that score."""

    local = "local"
    ray = "ray"


@ending_well()
def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            show_default=False,
            help="Folders, globs and files: everything `framing score` reads, web archives (.warc) "
            "and folders saved by `datasets`.",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where the tables go.", show_default=False
        ),
    ] = None,
    model: Bundle = "core-en",
    unit: PassageUnit = Unit.paragraph,
    min_confidence: MinConfidence = None,
    any_language: AnyLanguage = False,
    include_text: Annotated[
        bool,
        typer.Option(
            "--include-text",
            help="Write each passage's text too. Without it a scored corpus can be shared.",
        ),
    ] = False,
    dedup: Annotated[
        str | None,
        typer.Option(
            metavar="minhash",
            help="Find near-copies, as of one agency's wire, and score only the first of a kind.",
        ),
    ] = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Let the bundle's small first stage decide the passages that it is certain of; "
            "the model card says how often it decides as the encoder would.",
        ),
    ] = False,
    text_column: TextColumn = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="... the documents' own ids.")
    ] = None,
    source_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="... the outlet.")
    ] = None,
    date_column: Annotated[str | None, typer.Option(metavar="NAME", help="... the date.")] = None,
    title_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="... the headline.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Processes that score; as many as there are cores by default."
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="Score on this machine, or on a Ray cluster.")
    ] = EngineName.local,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The cluster; by default the one this machine is part of, else a new one on it.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="One of N jobs, each with an output folder of its own; then `framing merge`.",
        ),
    ] = None,
    shard_documents: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="At most so many documents are committed together, a file of each table.",
        ),
    ] = 256,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Throw away what a run has left in the output folder."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be read and how long it would take; write nothing."
        ),
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json",
            help="Progress and summary as lines of JSON on stderr; with --dry-run the plan, on "
            "stdout.",
        ),
    ] = False,
) -> None:
    """Score a corpus: from a folder of articles to tens of millions of rows.

    Writes `passages/*.parquet`, `documents/*.parquet` and `errors/*.parquet` into a folder, shard
    by shard. Whatever stops it, the same command goes on from the last committed shard, and the
    result is the same to the byte. A document that cannot be read or scored becomes a row in the
    errors.
    """
    if dedup not in (None, "minhash"):
        fail(WRONG_USE, f"--dedup {dedup}: there is only minhash")
    if out is None and not dry_run:
        fail(WRONG_USE, "name the folder to write to: -o FOLDER")
    part = _part(shard)
    processes = _engine(engine, ray_address)

    from framing.corpus.run import plan
    from framing.corpus.run import run as score_corpus
    from framing.corpus.scoring import RunOptions
    from framing.model.encoder import available_cores
    from framing.show.running import Running, plan_json, plan_lines
    from framing.text.columns import Choice

    options = RunOptions(
        unit=unit.value,
        min_confidence=min_confidence,
        any_language=any_language,
        include_text=include_text,
        dedup=dedup is not None,
        fast=fast,
        columns=Choice(
            text=text_column,
            id=id_column,
            source=source_column,
            date=date_column,
            title=title_column,
        ),
        documents=shard_documents,
    )
    if dry_run:
        here = workers or available_cores()
        planned = plan(inputs, model=model, options=options, workers=here)
        print(plan_json(planned, here) if log_json else "\n".join(plan_lines(planned, here)))
        raise typer.Exit(DONE)
    running = Running(sys.stderr, log_json)
    assert out is not None
    try:
        summary = score_corpus(
            inputs,
            out,
            model=model,
            options=options,
            workers=workers or (0 if engine is EngineName.ray else available_cores()),
            part=part,
            restart=restart,
            engine=processes,
            on_overview=running.overview,
            on_progress=running.state,
        )
    except (KeyboardInterrupt, SystemExit) as stop:
        running.clear()
        fail(
            INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED,
            "stopped; what is committed is safe, and the same command goes on from there",
        )
    finally:
        running.clear()
    running.summary(summary)
    raise typer.Exit(SOME_FAILED if summary.counts.errors else DONE)


def _engine(name: EngineName, address: str | None) -> Engine:
    """What makes the processes that score."""
    if name is EngineName.ray:
        if find_spec("ray") is None:
            fail(WRONG_USE, '--engine ray needs Ray: pip install "framing[ray]"')
        from framing.corpus.on_ray import RayPool

        return partial(RayPool, address=address)
    if address is not None:
        fail(WRONG_USE, "--ray-address goes with --engine ray")
    from framing.corpus.work import Pool

    return Pool


def _part(shard: str | None) -> tuple[int, int]:
    """The I and N of I/N."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard or "1/1")
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        fail(WRONG_USE, f"--shard {shard}: give I/N with I from 1 to N, such as 3/16")
    return int(found[1]), int(found[2])

"""The command that gives a bundle a first stage."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from framing.cli.ending import ending_well
from framing.cli.options import Bundle, TextColumn


@ending_well()
def distill(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            show_default=False,
            help="Articles, not coded: everything `framing run` reads, of many outlets.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            show_default=False,
            help="The bundle to write: the model with its first stage. May be the model itself.",
        ),
    ],
    model: Bundle = "core-en",
    passages: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="How many passages to learn from and measure on."),
    ] = 200_000,
    agreement: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=0.9999,
            metavar="A",
            help="The share of its decisions that must be the encoder's.",
        ),
    ] = 0.99,
    text_column: TextColumn = None,
    source_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column or key that holds the outlet.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Distil a first stage, with which `framing run --fast` decides what it is certain of.

    The bundle's encoder scores passages of the articles; a small network learns its logits, and
    what it may keep and what that costs is chosen and measured on outlets that it never saw. Run it
    again to go on after an interruption.
    """
    from framing.corpus.draw import draw
    from framing.corpus.inputs import find_sources
    from framing.model.bundle import find_bundle, open_bundle
    from framing.show.distilled import Distilling, promise_markdown
    from framing.text.columns import Choice
    from framing.train.card import keep_record
    from framing.train.distill import distil

    told = Distilling(sys.stderr, time.monotonic)
    sources = find_sources(inputs).sources
    drawn = draw(
        sources,
        Choice(text=text_column, source=source_column),
        passages,
        language=open_bundle(find_bundle(model)).language,
        seed=seed,
        on_document=told.drawn,
    )
    done = distil(
        model,
        [(passage.text, passage.outlet) for passage in drawn],
        output,
        agreement=agreement,
        seed=seed,
        on_scored=told.scored,
        on_step=lambda p: told.step(p.epoch, p.epochs, p.step, p.steps, p.loss),
    )
    record = {**done.promise.to_dict(), "articles": [source.name for source in sources]}
    table = promise_markdown(record)
    keep_record(done.folder, "first_stage", {**record, "table": table})
    print(table)
    print(
        f"wrote {done.folder}; what was learned is kept in {done.kept}, for the same command with "
        "another --agreement: delete it when you are content"
    )

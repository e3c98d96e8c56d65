"""The command that measures how well coders agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from framing.cli.ending import ending_well


@ending_well()
def agreement(
    codes: Annotated[
        list[Path],
        typer.Argument(
            metavar="CODES...",
            show_default=False,
            help="One file with a column `coder` and a row for each coder of a passage, or a file "
            "for each coder: .csv, .tsv, .jsonl or .parquet with `id` (or `text`) and one column "
            "per label (1, 0, empty for not coded), or one column `labels`.",
        ),
    ],
    codebook: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The codebook the passages are coded by.")
    ] = "core",
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Also measure each value of this column alone."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Measure how well coders agree: per label, with 95 % intervals by document.

    Only passages that two or more of them coded count. Without a column `document`, passages are
    resampled. Agreement is not validity: coders can agree and be wrong.
    """
    import orjson

    from framing.codebook.codebook import Codebook
    from framing.codebook.coders import read_codes
    from framing.show.agreement import agreement_tables
    from framing.show.terminal import console_for
    from framing.study.agreement import agreement as measure

    found = measure(
        read_codes(codes, Codebook.load(codebook)),
        name=", ".join(path.name for path in codes),
        by=by,
        seed=seed,
    )
    if json:
        sys.stdout.buffer.write(orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        console_for(sys.stdout).print(agreement_tables(found))

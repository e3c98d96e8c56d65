"""The commands for what a corpus run has written."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from framing.cli.ending import WRONG_USE, ending_well, fail
from framing.cli.output import check_output, format_of, writing


class Format(StrEnum):
    """How rows are written."""

    csv = "csv"
    jsonl = "jsonl"
    xlsx = "xlsx"


class Table(StrEnum):
    """Which rows."""

    passages = "passages"
    documents = "documents"
    errors = "errors"


@ending_well()
def export(
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", show_default=False, help="The folder of a run."),
    ],
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="By default what the name after -o ends in, else csv."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the screen."),
    ] = None,
    table: Annotated[
        Table, typer.Option(help="A row for each passage, document or error.")
    ] = Table.passages,
    partial: Annotated[
        bool, typer.Option("--partial", help="Export what an unfinished run has done so far.")
    ] = False,
) -> None:
    """Write a run's rows as one CSV, JSON Lines or Excel file.

    In CSV and Excel, text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    from framing.corpus.export import export as write

    form = format or format_of(output, {f".{form}": form for form in Format}, Format.csv)
    if output is None and form is Format.xlsx:
        fail(WRONG_USE, "xlsx does not go to the screen: name a file after -o")
    if output is not None:
        check_output(output, [])
    with writing(output) as target:
        written = write(out, form.value, target, table=table.value, partial=partial)
    if written.cut:
        print(
            f"framing: {written.cut:,} texts longer than a cell of Excel holds were cut; "
            "csv and jsonl have them whole",
            file=sys.stderr,
        )
    if output is not None:
        print(f"wrote {written.rows:,} {table.value} to {output}")


@ending_well()
def merge(
    parts: Annotated[
        list[Path],
        typer.Argument(
            metavar="PART...", show_default=False, help="The folders of all --shard I/N runs."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", show_default=False, help="The folder to write."
        ),
    ],
) -> None:
    """Join the parts that `framing run --shard I/N` wrote into one run.

    What comes out is, byte for byte, what one undivided run would have written. After an
    interruption the same command goes on.
    """
    from framing.corpus.merge import merge as join
    from framing.show.plain import plural

    done = join(parts, output)
    copies = plural(done.copies, "copy").replace("copys", "copies")
    print(
        f"wrote {output}: {plural(done.documents, 'document')} = {done.scored:,} scored + "
        f"{copies} + {plural(done.errors, 'error')}; {plural(done.passages, 'passage')}"
    )

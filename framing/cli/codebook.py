"""The commands that print and check codebooks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from framing.cli.ending import EXIT_CODES, ending_well

codebook_app = typer.Typer(
    help="Print or check a codebook: the labels and what they mean.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)


@codebook_app.command("show")
@ending_well()
def codebook_show(
    name: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="A codebook that ships, or a YAML file.")
    ] = "core",
) -> None:
    """Print a codebook: labels by group with conditions and examples, and the rules."""
    from framing.codebook.codebook import Codebook
    from framing.show.codebook import write_codebook
    from framing.show.terminal import console_for

    write_codebook(Codebook.load(name), console_for(sys.stdout), sys.stdout.buffer)


@codebook_app.command("check")
@ending_well()
def codebook_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A YAML file.")],
) -> None:
    """Check a codebook of your own; every error is listed with its place."""
    from framing.codebook.codebook import Codebook
    from framing.show.plain import plural

    codebook = Codebook.load(file)
    labels = plural(len(codebook.labels), "label")
    print(f"{file}: fine: {codebook.name} version {codebook.version}, {labels}")

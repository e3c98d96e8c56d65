"""The command line: parse, one call, present.

Each command imports what it needs when it runs, so that `framing` starts fast.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from framing.cli.agreement import agreement
from framing.cli.audit import audit
from framing.cli.codebook import codebook_app
from framing.cli.corpus import export, merge
from framing.cli.distill import distill
from framing.cli.ending import EXIT_CODES, TERMINATED, ending_well
from framing.cli.run import run
from framing.cli.score import score
from framing.cli.train import evaluate, train

app = typer.Typer(
    name="framing",
    help="Label every passage of a news article by its framing.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=EXIT_CODES)(score)
app.command(epilog=EXIT_CODES)(run)
app.command(epilog=EXIT_CODES)(export)
app.command(epilog=EXIT_CODES)(merge)
app.command(epilog=EXIT_CODES)(agreement)
app.command(epilog=EXIT_CODES)(train)
app.command(epilog=EXIT_CODES)(distill)
app.command(epilog=EXIT_CODES)(evaluate)
app.command(epilog=EXIT_CODES)(audit)
app.add_typer(codebook_app, name="codebook")


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    app(prog_name="framing")


@app.callback(invoke_without_command=True)
def _framing(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        show_version()
        raise typer.Exit


@app.command("models")
@ending_well()
def show_models() -> None:
    """List the model bundles that ship with framing."""
    from framing.model.bundle import shipped_bundles

    for name, folder in shipped_bundles().items():
        print(f"{name}\t{folder}")


@app.command("version")
@ending_well()
def show_version() -> None:
    """Print the version."""
    from framing import __version__

    print(f"framing {__version__}")

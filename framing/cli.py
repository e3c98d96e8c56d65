"""The command line: parse, one call, present.

Each command imports what it needs when it runs, so that `framing` starts fast.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn

import typer

if TYPE_CHECKING:
    from framing.model.classifier import Model
    from framing.model.scored import ScoredDocument
    from framing.model.stream import Options
    from framing.text.document import Failure

DONE, SOME_FAILED, WRONG_USE, BUNDLE_REFUSED, MACHINE_FAILED = range(5)
INTERRUPTED, TERMINATED, PIPE_CLOSED = 130, 143, 141

EXAMPLE = Path(__file__).parent / "examples" / "summit.txt"

_EXIT_CODES = """
Exit codes

- 0 done
- 1 finished, but some documents could not be scored (one line each on stderr)
- 2 wrong use: an option, a file that is not there, a codebook with errors
- 3 a model bundle was refused
- 4 the machine failed: disk full, out of memory
- 130 interrupted (Ctrl-C), 143 terminated
"""

app = typer.Typer(
    name="framing",
    help="Label every passage of a news article by its framing.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
codebook_app = typer.Typer(
    help="Print or check a codebook: the labels and what they mean.",
    no_args_is_help=True,
    epilog=_EXIT_CODES,
)
app.add_typer(codebook_app, name="codebook")


class Unit(StrEnum):
    """What a passage is."""

    paragraph = "paragraph"
    sentence = "sentence"


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    app(prog_name="framing")


@contextmanager
def _ending_well() -> Iterator[None]:
    """Turn whatever ends a command into one line on stderr and an exit code.

    Every command wears it: a traceback is a bug.
    """
    try:
        yield
        sys.stdout.flush()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _fail(INTERRUPTED, "interrupted")
    except MemoryError:
        _fail(MACHINE_FAILED, "out of memory: score fewer or smaller files at a time")
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(PIPE_CLOSED)
    except Exception as error:
        if "FRAMING_DEBUG" in os.environ:
            raise
        _fail(*_told(error))


@app.callback(invoke_without_command=True)
def _framing(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        show_version()
        raise typer.Exit


@app.command(epilog=_EXIT_CODES)
@_ending_well()
def score(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            show_default=False,
            help="Articles to score: .txt .md .html .pdf, or many in one .jsonl .csv .parquet, "
            "each also as .gz or .zst; - for standard input.",
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Score the article that comes with framing.")
    ] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME|FOLDER", help="The model bundle.")
    ] = "core-en",
    unit: Annotated[
        Unit,
        typer.Option(
            help="Passages as they stand in the article (headline, paragraph, list item), or "
            "single sentences."
        ),
    ] = Unit.paragraph,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="By default what the name after -o ends in, else a table."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write there, all or nothing, not to the screen."
        ),
    ] = None,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Show the words that led to each label (much slower)."),
    ] = False,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0,
            max=1,
            help="Call a decision unsure where the model is less sure of it than this.",
        ),
    ] = None,
    any_language: Annotated[
        bool,
        typer.Option(
            "--any-language",
            help="Score documents in a language that the model does not read, with a warning.",
        ),
    ] = False,
    text_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column or key that holds the text of a record."),
    ] = None,
) -> None:
    """Label every passage of articles: who speaks, in which tone, whose line, what for.

    Several files, or a file of many records, give a short block for each in the table; take
    --format jsonl or csv for every passage of all of them. What cannot be scored gives one line
    on stderr, and the rest is scored.
    """
    chosen = [*(paths or []), *([str(EXAMPLE)] if example else [])]
    if not chosen:
        _fail(WRONG_USE, "nothing to score: name a file, - for standard input, or --example")
    form = format or _format_of(output)
    if output is not None:
        _check_output(output, chosen)

    from framing.model.classifier import load
    from framing.model.stream import Options

    options = Options(
        unit=unit.value,
        evidence=evidence,
        min_confidence=min_confidence,
        any_language=any_language,
        text_column=text_column,
    )
    failures = _score(load(model), chosen, options, form, output)
    raise typer.Exit(_exit_code(failures))


@codebook_app.command("show")
@_ending_well()
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
@_ending_well()
def codebook_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A YAML file.")],
) -> None:
    """Check a codebook of your own; every error is listed with its place."""
    from framing.codebook.codebook import Codebook
    from framing.show.plain import plural

    codebook = Codebook.load(file)
    labels = plural(len(codebook.labels), "label")
    print(f"{file}: fine: {codebook.name} version {codebook.version}, {labels}")


@app.command("models")
@_ending_well()
def show_models() -> None:
    """List the model bundles that ship with framing."""
    from framing.model.bundle import shipped_bundles

    for name, folder in shipped_bundles().items():
        print(f"{name}\t{folder}")


@app.command("version")
@_ending_well()
def show_version() -> None:
    """Print the version."""
    from framing import __version__

    print(f"framing {__version__}")


def _score(
    model: Model, paths: list[str], options: Options, form: Format, output: str | None
) -> list[Failure]:
    """Score `paths` and write the results; return the failures, each told on stderr."""
    from framing.model.stream import provenance, score_files
    from framing.show.plain import printable
    from framing.show.progress import Progress
    from framing.show.records import write_csv, write_json, write_jsonl
    from framing.text.document import Failure

    failures: list[Failure] = []

    def told(results: Iterable[ScoredDocument | Failure]) -> Iterator[ScoredDocument | Failure]:
        for result in results:
            if isinstance(result, Failure):
                failures.append(result)
                print(f"framing: {printable(str(result))}", file=sys.stderr)
            yield result

    progress = Progress(len(paths), sys.stderr)
    results = told(progress.documents(score_files(model, progress.files(paths), options)))
    origin = provenance(model, options)
    with _writing(output) as out:
        match form:
            case Format.json:
                write_json(results, origin, out)
            case Format.jsonl:
                write_jsonl(results, origin, out)
            case Format.csv:
                write_csv(results, origin, model.labels, out)
            case Format.table:
                from framing.show.terminal import console_for, write_table

                console = console_for(sys.stdout if output is None else None)
                write_table(results, model.codebook, console, out)
    return failures


def _exit_code(failures: list[Failure]) -> int:
    from framing.text.document import Reason

    if any(f.reason in (Reason.NOT_FOUND, Reason.IS_DIRECTORY) for f in failures):
        return WRONG_USE
    return SOME_FAILED if failures else DONE


def _format_of(output: str | None) -> Format:
    """The format that the output file's name ends in."""
    suffix = Path(output or "").suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in list(Format) else Format.table


def _check_output(output: str, inputs: list[str]) -> None:
    """Refuse, before any work, an output that is an input or cannot be written."""
    target = Path(output)
    if target.is_dir():
        _fail(WRONG_USE, f"{output} is a directory; name a file after -o")
    if not target.absolute().parent.is_dir():
        _fail(WRONG_USE, f"there is no folder {target.parent}; make it, or name another after -o")
    for path in inputs:
        if target.exists() and Path(path).exists() and target.samefile(path):
            _fail(WRONG_USE, f"{output} is one of the inputs and would be overwritten")


@contextmanager
def _writing(output: str | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name only when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(output).resolve()
    if target.exists() and not target.is_file():  # a device or a pipe is written to as it is
        with target.open("wb") as out:
            yield out
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _told(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error that ended a command."""
    from framing.codebook.codebook import CodebookError
    from framing.model.bundle import BundleError

    if isinstance(error, CodebookError):
        return WRONG_USE, str(error)
    if isinstance(error, BundleError):
        return BUNDLE_REFUSED, str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename is not None else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            _silence_stdout()
            return MACHINE_FAILED, f"{error.strerror}{place}: make room and run it again"
        return WRONG_USE, f"{error.strerror}{place}"
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return SOME_FAILED, f"internal error: {what} (set FRAMING_DEBUG=1 for the traceback)"


def _fail(code: int, line: str) -> NoReturn:
    print(f"framing: {line}", file=sys.stderr)
    raise typer.Exit(code)


def _silence_stdout() -> None:
    """Keep the interpreter from flushing to a closed pipe or a full disk on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The command that labels articles."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framing.cli.ending import DONE, SOME_FAILED, WRONG_USE, ending_well, fail
from framing.cli.options import (
    AnyLanguage,
    Bundle,
    MinConfidence,
    PassageUnit,
    TextColumn,
    Unit,
)
from framing.cli.output import check_output, format_of, writing

if TYPE_CHECKING:
    from framing.model.classifier import Model
    from framing.model.scored import ScoredDocument
    from framing.model.stream import Options
    from framing.text.document import Failure

EXAMPLE = Path(__file__).parents[1] / "examples" / "summit.txt"


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


_FORMATS = {".txt": Format.table} | {f".{form}": form for form in Format if form != Format.table}


@ending_well()
def score(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            show_default=False,
            help="Articles to score: .txt .md .html .pdf, or many in one .jsonl .csv .parquet, "
            "each also as .gz or .zst; - for standard input, one article or JSON Lines.",
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Score the article that comes with framing.")
    ] = False,
    model: Bundle = "core-en",
    unit: PassageUnit = Unit.paragraph,
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
        typer.Option(
            "--evidence",
            help="Show the words that led to each label (much slower); of many articles only in "
            "json and jsonl.",
        ),
    ] = False,
    min_confidence: MinConfidence = None,
    any_language: AnyLanguage = False,
    text_column: TextColumn = None,
) -> None:
    """Label every passage of articles: who speaks, in which tone, whose line, what for.

    Several files, or a file of many records, give a short block for each in the table; take
    --format jsonl or csv for every passage of all of them. What cannot be scored gives one line
    on stderr, and the rest is scored.
    """
    chosen = [*(paths or []), *([str(EXAMPLE)] if example else [])]
    if not chosen:
        fail(WRONG_USE, "nothing to score: name a file, - for standard input, or --example")
    form = format or format_of(output, _FORMATS, Format.table)
    if output is not None:
        check_output(output, chosen)
    if evidence:
        _say_where_evidence_is(chosen, form)

    loaded = _loaded(model)
    from framing.model.stream import Options

    options = Options(
        unit=unit.value,
        evidence=evidence,
        min_confidence=min_confidence,
        any_language=any_language,
        text_column=text_column,
    )
    failures = _score(loaded, chosen, options, form, output)
    raise typer.Exit(_exit_code(failures))


def _loaded(bundle: str) -> Model:
    """Load a bundle; meanwhile import what scoring and showing need, as both take a while."""
    from concurrent.futures import ThreadPoolExecutor

    from framing.model.classifier import load

    with ThreadPoolExecutor(1) as aside:
        loading = aside.submit(load, bundle)
        for module in ("framing.model.stream", "framing.show.terminal"):
            import_module(module)
        return loading.result()


def _say_where_evidence_is(paths: list[str], form: Format) -> None:
    """Warn where evidence is found at length and not shown."""
    from framing.text.readers import is_table

    several = len(paths) > 1 or is_table(Path(paths[0]))
    if form == Format.csv or (form == Format.table and several):
        print(
            "framing: evidence is shown for one article, or with --format json or jsonl: leave "
            "--evidence out to be faster",
            file=sys.stderr,
        )


def _score(
    model: Model, paths: list[str], options: Options, form: Format, output: str | None
) -> list[Failure]:
    """Score `paths` and write the results; return the failures, each told on stderr."""
    from framing.model.stream import ids_of, provenance, score_files
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
    scored = score_files(model, progress.files(paths), options, ids_of(paths))
    results = told(progress.documents(scored))
    origin = provenance(model, options)
    with writing(output) as out:
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

"""The commands that make and measure bundles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from framing.cli.ending import ending_well
from framing.train.recipe import DEFAULT_ENCODER


@ending_well()
def train(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="CODED...",
            show_default=False,
            help="Coded passages: .parquet, .csv, .tsv or .jsonl with `text`, `document` and one "
            "column per label (1, 0, empty for not coded), or one column `labels`.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False, help="The bundle to write."
        ),
    ],
    codebook: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The codebook the passages are coded by.")
    ] = "core",
    encoder: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER",
            help="A pre-trained encoder: a folder, a hub id (downloaded), a bundle to go on from "
            "(core-en), or tfidf for the linear baseline, which trains in seconds.",
        ),
    ] = DEFAULT_ENCODER,
    parallel: Annotated[
        bool,
        typer.Option(
            "--parallel", help="Also train on framing's own parallel corpus (codebook core)."
        ),
    ] = False,
    about: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Markdown for the card: origin and licence of the passages."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 4,
    learning_rate: Annotated[float, typer.Option(min=1e-7, max=1)] = 3e-4,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    max_tokens: Annotated[
        int, typer.Option(min=16, max=512, help="Longer passages are read in windows.")
    ] = 256,
    held_out: Annotated[
        float,
        typer.Option(
            min=0.02, max=0.5, help="Share of documents kept for calibration and thresholds."
        ),
    ] = 0.15,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a bundle on coded passages; run it again to go on after an interruption.

    Ends with figures on the held-out documents. Thresholds and calibration were fitted there, so
    measure on passages of their own with `framing evaluate` before you publish.
    """
    from framing.codebook.codebook import Codebook
    from framing.codebook.coded import read_coded
    from framing.codebook.parallel import tellings
    from framing.model.classifier import load
    from framing.show.evaluation import evaluation_tables
    from framing.show.terminal import console_for
    from framing.show.training import TrainingBar
    from framing.study.evaluate import evaluate as measure
    from framing.train.examples import join
    from framing.train.pipeline import train as run
    from framing.train.recipe import Progress, Recipe

    book = Codebook.load(codebook)
    recipe = Recipe(
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        max_tokens=max_tokens,
        held_out=held_out,
        seed=seed,
    )
    with TrainingBar(console_for(sys.stderr)) as bar:

        def show(p: Progress) -> None:
            bar.show(p.epoch, p.epochs, p.step, p.steps, p.loss, p.tokens_per_second)

        trained = run(
            join([read_coded(path, book) for path in data]),
            book,
            output,
            encoder=encoder,
            recipe=recipe,
            tellings=tellings() if parallel else (),
            about_data=about.read_text("utf-8") if about else "",
            on_step=show,
        )
    evaluation = measure(
        load(trained.folder.absolute()),
        trained.held_out,
        name=output.name,
        examples_name="held-out documents (calibrated on them)",
        seed=seed,
    )
    console_for(sys.stdout).print(evaluation_tables([evaluation]))
    print(f"wrote {trained.folder}")


@ending_well()
def evaluate(
    model: Annotated[
        list[str], typer.Option("--model", "-m", help="A bundle; give several to compare.")
    ],
    data: Annotated[Path, typer.Argument(metavar="CODED", help="Coded passages held out.")],
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Also measure each value of this column alone."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="Keep the figures in the (first) bundle and its card."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Measure bundles on coded passages: per label, with 95 % intervals by document."""
    import orjson

    from framing.codebook.coded import read_coded
    from framing.model.bundle import find_bundle
    from framing.model.classifier import load
    from framing.show.evaluation import evaluation_markdown, evaluation_tables
    from framing.show.terminal import console_for
    from framing.study.evaluate import evaluate as measure
    from framing.train.card import keep_record

    models = [load(name) for name in model]
    coded = read_coded(data, models[0].codebook)
    evaluations = [
        measure(each, coded, name=each.name, examples_name=data.name, by=by, seed=seed)
        for each in models
    ]
    if json:
        sys.stdout.buffer.write(
            orjson.dumps([e.to_dict() for e in evaluations], option=orjson.OPT_INDENT_2) + b"\n"
        )
    else:
        console_for(sys.stdout).print(evaluation_tables(evaluations))
    if record:
        keep_record(
            find_bundle(model[0]),
            "metrics",
            {
                "evaluations": [e.to_dict() for e in evaluations],
                "table": evaluation_markdown(evaluations),
            },
        )

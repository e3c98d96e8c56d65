"""The options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Unit(StrEnum):
    """What a passage is."""

    paragraph = "paragraph"
    sentence = "sentence"


Bundle = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|FOLDER", help="The model bundle.")
]
PassageUnit = Annotated[
    Unit,
    typer.Option(
        help="Passages as they stand in the article (headline, paragraph, list item), or "
        "single sentences."
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        min=0,
        max=1,
        help="Call a decision unsure where the model is less sure of it than this.",
    ),
]
AnyLanguage = Annotated[
    bool,
    typer.Option(
        "--any-language",
        help="Score documents in a language that the model does not read, with a warning.",
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column or key that holds the text of a record."),
]

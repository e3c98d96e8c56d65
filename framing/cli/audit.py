"""The command that tests a model's behaviour."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from framing.cli.ending import DONE, SOME_FAILED, ending_well


@ending_well()
def audit(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A bundle that ships, or a folder.")
    ] = "core-en",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the figures in the bundle and its card.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the passages, their fillings and the bootstrap.")
    ] = 0,
) -> None:
    """Test a model: does a label flip when Russia becomes France?

    Some 6,900 passages of our own, a minute or two on two cores. Every label must keep to the
    limit, the passage with one thing changed against the passage as it was:

    - **swap** of country, leader, party, outlet, gender, religion: flips at most 1.5 %, mean
      change of the probability at most .03
    - **publisher mask**: flips outside media_relay at most 1 %
    - **disguises** (invisible characters, soft hyphens, look-alikes, full width): no flip
    - **typos** in 5 % of characters: at most .10 of macro-F1 lost

    And for a codebook with the core labels:

    - one **loaded** or **startling** wording **put in**: its label comes in at least 85 %;
      **taken out** again: it goes in 90 %
    - **quotation** of the author's words: tone and stance labels go in 85 %
    - **neutral facts** about any country and group: no tone or stance label in 97 %

    Ends with 0 where all is kept to, with 1 where a limit is missed.
    """
    import orjson

    from framing.model.classifier import load
    from framing.show.audit import AuditBar, audit_markdown, audit_tables
    from framing.show.terminal import console_for
    from framing.study.audit import audit as run

    loaded = load(model)
    progress = AuditBar(console_for(sys.stderr))
    with progress.bar:
        result = run(loaded, name=loaded.name, seed=seed, on_scored=progress.show)
    if json:
        sys.stdout.buffer.write(orjson.dumps(result.to_dict(), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        console_for(sys.stdout).print(audit_tables(result))
    if record:
        from framing.model.bundle import find_bundle
        from framing.train.card import keep_record

        keep_record(
            find_bundle(model), "audit", {**result.to_dict(), "table": audit_markdown(result)}
        )
    raise typer.Exit(DONE if result.passed else SOME_FAILED)

"""What a first stage promises, as Markdown, and how its making goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TextIO

_PAUSE = 10.0  # seconds between two lines
_NAMED = 20  # files of articles


def promise_markdown(promise: Mapping[str, Any]) -> str:
    """The figures of a first stage, from `Promise.to_dict` and the names of the `articles`."""
    names = promise["articles"]
    more = f" and {len(names) - _NAMED:,} files more" if len(names) > _NAMED else ""
    point, (measured, learned, chosen) = promise["point"], promise["passages"]
    quick, slow = promise["speeds"]
    lines = [
        f"It decides {_percent(point['kept'])} of the passages; {_percent(point['agreement'], 2)} "
        f"(95 % interval by outlet {_percent(promise['low'], 2)} to "
        f"{_percent(promise['high'], 2)}) of its decisions, yes, no or unsure, are the encoder's, "
        f"{_percent(point['opposite'], 2)} are a yes for a no or a no for a yes, and "
        f"{_percent(point['same'])} of these passages have not one decision that differs. Asked "
        f"for were {_percent(promise['asked'], 2)}. Scoring is {point['speed']:.2f} times as fast "
        f"as by the encoder alone (first stage {quick:,.0f} passages/s, encoder {slow:,.0f}, where "
        f"it was measured). Taken one by one, {_percent(promise['alone'])} of all decisions could "
        "be made by it at that agreement, but a passage saves no time unless all of its are.",
        "",
        f"Measured on {measured:,} passages of {len(promise['outlets']):,} outlets, learned from "
        f"{learned:,} passages of others; what it may keep was chosen on {chosen:,} of others "
        f"again. None was coded; they are drawn from {', '.join(names[:_NAMED])}{more}.",
        "",
        "| if it kept | agreement | passages with no change | yes for no | times as fast |",
        "|---|---|---|---|---|",
        *(
            f"| {_percent(p['kept'])} | {_percent(p['agreement'], 2)} | {_percent(p['same'])} | "
            f"{_percent(p['opposite'], 2)} | {p['speed']:.2f} |"
            for p in promise["curve"]
        ),
        "",
        "| label | agreement, of passages kept | yeses in them | of these given | "
        "yeses lost, of all | prevalence | in a fast run |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {_percent(x['agreement'], 2)} | {x['yes_kept']:,} | "
            f"{_percent(x['yes_given'])} | {_percent(x['lost'], 2)} | "
            f"{_percent(x['prevalence'], 2)} | {_percent(x['fast_prevalence'], 2)} |"
            for name, x in promise["labels"].items()
        ),
    ]
    return "\n".join(lines)


class Distilling:
    """Shows how a first stage is made, a plain line every ten seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._next = self._began = clock()
        self._scoring: tuple[float, int] | None = None

    def drawn(self, passages: int) -> None:
        """So many passages have been drawn."""
        self._line(f"{passages:,} passages drawn")

    def scored(self, done: int, of: int) -> None:
        """So many passages have the encoder's logits."""
        began, before = self._scoring = self._scoring or (self._clock(), done)
        rate = (done - before) / max(1e-9, self._clock() - began)
        left = f", {(of - done) / rate / 60:.0f} min left" if rate and done < of else ""
        self._line(f"the encoder has scored {done:,} of {of:,} passages{left}", done == of)

    def step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        """So far has learning come."""
        last = step == steps
        self._line(
            f"learning: epoch {epoch + 1}/{epochs} step {step}/{steps} loss {loss:.4f}", last
        )

    def _line(self, text: str, now: bool = False) -> None:
        if now or self._clock() >= self._next:
            self._next = self._clock() + _PAUSE
            self._stream.write(f"{text}\n")
            self._stream.flush()


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"

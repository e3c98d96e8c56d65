"""A progress bar for training: epoch, step, loss, tokens a second, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TrainingBar:
    """Shows training on a terminal; elsewhere a plain line each tenth of an epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TextColumn("{task.fields[rate]:,.0f} tokens/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(
        self, epoch: int, epochs: int, step: int, steps: int, loss: float, rate: float
    ) -> None:
        """Draw where training stands; `epoch` counts from 0, `step` from 1."""
        place = f"{epoch + 1}/{epochs}"
        if not self._console.is_terminal:
            if step % max(1, steps // 10) == 0 or step == steps:
                self._console.print(
                    f"epoch {place} step {step}/{steps} loss {loss:.4f} {rate:,.0f} tokens/s"
                )
            return
        if self._task is None:
            self._task = self._bar.add_task(
                "train", total=epochs * steps, epoch=place, loss=loss, rate=rate
            )
        self._bar.update(
            self._task, completed=epoch * steps + step, epoch=place, loss=loss, rate=rate
        )

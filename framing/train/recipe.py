"""What training does and how far it is; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ENCODER = "all-MiniLM-L6-v2"


class TrainingError(ValueError):
    """Training cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what training does, besides the data and the encoder."""

    epochs: int = 4
    learning_rate: float = 3e-4
    layer_decay: float = 0.9
    head_factor: float = 5.0
    weight_decay: float = 0.01
    warmup: float = 0.06
    batch_size: int = 32
    max_tokens: int = 256
    dropout: float = 0.1
    average: float = 0.996
    held_out: float = 0.15
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands; `loss` is the running mean of the epoch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    tokens_per_second: float

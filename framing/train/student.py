"""The network of a first stage while it learns: in torch, on the grid of whole numbers it will use.

Weights and activations are rounded in the forward pass and gradients pass through (Bengio et al.
2013, the straight-through estimator; Jacob et al. 2018), so that what is written is what was
trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from framing.model.first_stage import HIGHEST, FirstStage
from framing.train.recipe import Progress, TrainingError

Floats = NDArray[np.float64]
Tokens = Sequence[NDArray[np.int64]]

CHANNELS, LAYERS, FEATURES, HIDDEN = 128, 3, 256, 256
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 5, 128, 2e-3, 0.01
DROPOUT, WORD_DROPOUT = 0.2, 0.1
_LONGEST = 160  # tokens of a passage that are trained on
_UNIT = 1 / 32  # one step of a convolved feature
_FINE = 1 / 256  # one step of a pooled or hidden one
_MEAN = 0.3  # brings means to the size of maxima
_LOG_SPREAD = (-4.0, 2.0)
_SPREAD_WEIGHT = 0.1
_LARGEST_NORM = 1.0


class Student(nn.Module):
    """Token numbers, (batch, tokens) with -1 behind a passage's end, to (batch, 2 labels).

    Parameters
    ----------
    embedding
        (v, width) of the teacher, to begin with: its `CHANNELS` strongest directions.
    centre, width
        (labels,) mean and standard deviation of the teacher's logits.
    """

    def __init__(self, embedding: Floats, centre: Floats, width: Floats) -> None:
        super().__init__()
        labels = len(centre)
        self.embedding = nn.Embedding(len(embedding), CHANNELS, _weight=_strongest(embedding))
        # Three taps side by side.
        self.filters = [nn.Linear(3 * CHANNELS, CHANNELS) for _ in range(LAYERS)]
        self.layers = nn.ModuleList(self.filters)
        self.widen = nn.Linear(CHANNELS, FEATURES)
        self.hidden = nn.Linear(2 * FEATURES, HIDDEN)
        self.out = nn.Linear(2 * FEATURES + HIDDEN, 2 * labels)
        self.centre, self.width = centre, width

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits in units of `width` from `centre`, then logarithms of their spread."""
        stands = (ids >= 0).unsqueeze(-1).float()
        x = _rounded(self.embedding(ids.clamp(min=0)), _UNIT, 127)
        x = functional.dropout(x, WORD_DROPOUT, self.training) * stands
        for i, layer in enumerate(self.filters):
            shift = 2**i
            wide = functional.pad(x, (0, 0, shift, shift))
            seen = torch.cat([wide[:, : -2 * shift], x, wide[:, 2 * shift :]], dim=-1)
            more = functional.relu(functional.linear(seen, _steps(layer.weight), layer.bias))
            x = _rounded(x + more * stands, _UNIT, HIGHEST)
        wide = functional.relu(functional.linear(x, _steps(self.widen.weight), self.widen.bias))
        wide = wide * stands
        means = wide.sum(1) / stands.sum(1).sqrt() * _MEAN
        pooled = torch.cat([wide.amax(1), means], dim=-1)
        pooled = functional.dropout(pooled, DROPOUT, self.training)
        hidden = functional.relu(self.hidden(pooled))
        hidden = functional.dropout(hidden, DROPOUT, self.training)
        values: torch.Tensor = self.out(torch.cat([pooled, hidden], dim=-1))
        return values


def learn(
    tokens: Tokens,
    logits: Floats,
    embedding: Floats,
    seed: int,
    on_step: Callable[[Progress], None],
) -> Student:
    """Teach a student to give a teacher's logits; the same input gives the same student.

    Parameters
    ----------
    tokens
        The teacher's tokens of n passages.
    logits
        (n, labels), what it makes of them.
    embedding
        The teacher's token embeddings.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    centre, width = logits.mean(axis=0), np.maximum(logits.std(axis=0), 1e-3)
    net = Student(embedding, centre, width)
    goal = torch.tensor((logits - centre) / width, dtype=torch.float32)
    steps = -(-len(tokens) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=EPOCHS * steps + 1, pct_start=0.1
    )
    for epoch in range(EPOCHS):
        net.train()
        loss_sum, count, began = 0.0, 0, time.monotonic()
        for step, rows in enumerate(_batches(tokens, rng), 1):
            batch = _padded([tokens[i] for i in rows])
            mean, spread = net(batch).chunk(2, dim=1)
            loss = _loss(mean, spread, goal[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_NORM)
            optimizer.step()
            schedule.step()
            loss_sum, count = loss_sum + float(loss.detach()), count + batch.numel()
            rate = count / (time.monotonic() - began)
            on_step(Progress(epoch, EPOCHS, step, steps, loss_sum / step, rate))
    return net.eval()


def written(net: Student, teacher: str) -> FirstStage:
    """The student as whole numbers; what it is certain of is not decided yet.

    Parameters
    ----------
    teacher
        The fingerprint of the bundle that it learned from.
    """
    n = len(net.centre)
    taps, tap_scales = zip(*(_whole(layer.weight, 127) for layer in net.filters), strict=True)
    widen, widen_scale = _whole(net.widen.weight, 127)
    hidden, hidden_scale = _whole(net.hidden.weight, 32767)
    out, out_scale = _whole(net.out.weight, 32767)
    # A logit is told in the teacher's units, and so is its spread.
    stretch = np.concatenate([net.width, np.ones(n)])
    shift = np.concatenate([net.centre, np.log(net.width)])
    embedding = np.rint(_numbers(net.embedding.weight) / _UNIT)
    biases = np.array([_numbers(layer.bias) for layer in net.filters])
    return FirstStage(
        embedding=np.clip(embedding, -127, 127).astype(np.int8),
        filters=np.array(taps).reshape(LAYERS, 3, CHANNELS, CHANNELS).astype(np.int8),
        filter_scale=np.array(tap_scales).astype(np.float32),
        filter_bias=(biases / _UNIT).astype(np.float32),
        widen=widen.astype(np.int8),
        widen_scale=(widen_scale * _UNIT / _FINE).astype(np.float32),
        widen_bias=(_numbers(net.widen.bias) / _FINE).astype(np.float32),
        hidden=hidden.astype(np.int16),
        hidden_scale=hidden_scale,
        hidden_bias=_numbers(net.hidden.bias) / _FINE,
        out=out.astype(np.int16),
        out_scale=out_scale * _FINE * stretch,
        out_bias=_numbers(net.out.bias) * stretch + shift,
        mean_scale=np.array(_MEAN),
        at_most=np.zeros(()),
        teacher=np.frombuffer(bytes.fromhex(teacher), np.uint8),
    )


def _loss(mean: torch.Tensor, spread: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Squared error, and how well the spread describes it, which does not pull at the mean."""
    off = goal - mean
    spread = spread.clamp(*_LOG_SPREAD)
    likely = spread + 0.5 * (off.detach() / spread.exp()).square()
    return off.square().mean() + _SPREAD_WEIGHT * likely.mean()


def _strongest(embedding: Floats) -> torch.Tensor:
    """The teacher's embeddings along their `CHANNELS` main directions, to scale."""
    centred = embedding - embedding.mean(axis=0)
    _, _, directions = np.linalg.svd(centred[:: max(1, len(centred) // 10_000)], False)
    main = centred @ directions[:CHANNELS].T
    main = np.pad(main, ((0, 0), (0, CHANNELS - main.shape[1])))
    return torch.tensor(0.5 * main / main.std(), dtype=torch.float32)


def _rounded(x: torch.Tensor, unit: float, most: int) -> torch.Tensor:
    x = x.clamp(-most * unit, most * unit)
    return x + ((x / unit).round() * unit - x).detach()


def _steps(weight: torch.Tensor) -> torch.Tensor:
    """Weights (out, in) rounded to 255 steps for each output."""
    unit = weight.detach().abs().amax(1, keepdim=True).clamp(min=1e-9) / 127
    return weight + ((weight / unit).round() * unit - weight).detach()


def _whole(weight: torch.Tensor, most: int) -> tuple[Floats, Floats]:
    """Weights as whole numbers (in, out), and what a step of each output is worth."""
    values = _numbers(weight).T
    unit = np.maximum(np.abs(values).max(axis=0), 1e-9) / most
    return np.rint(values / unit), unit


def _numbers(tensor: Any) -> Floats:
    return np.asarray(tensor.detach().numpy(), np.float64)


def _batches(tokens: Tokens, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """All rows in a random order, those of a batch about equally long."""
    order = rng.permutation(len(tokens))
    lengths = np.array([len(t) for t in tokens])
    batches = []
    for start in range(0, len(order), 40 * BATCH):
        some = order[start : start + 40 * BATCH]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[i : i + BATCH] for i in range(0, len(some), BATCH)]
    for i in rng.permutation(len(batches)):
        yield batches[i]


def _padded(rows: Tokens) -> torch.Tensor:
    longest = min(_LONGEST, max(len(row) for row in rows))
    ids = np.full((len(rows), longest), -1)
    for out, row in zip(ids, rows, strict=True):
        out[: min(longest, len(row))] = row[:longest]
    return torch.from_numpy(ids)


def token_embeddings(model: bytes) -> Floats:
    """The token embeddings in an encoder's ONNX graph, (v, width): what it looks its input up in.

    Raises
    ------
    TrainingError
        The graph has none.
    """
    graph = onnx.load_from_string(model).graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    looked_up = [
        numpy_helper.to_array(held[node.input[0]]).astype(float)
        for node in graph.node
        if node.op_type == "Gather" and node.input[1] == "input_ids" and node.input[0] in held
    ]
    if not looked_up or any(table.ndim != 2 for table in looked_up):
        raise TrainingError("the encoder's graph does not look its tokens up in a table")
    # Steps of int8 and their scales are looked up apart, and multiplied.
    embedding = looked_up[0]
    for factor in looked_up[1:]:
        embedding = embedding * factor
    return embedding

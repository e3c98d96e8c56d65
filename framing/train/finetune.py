"""Fine-tune a pre-trained encoder with one sigmoid per label.

Devlin et al. 2019 (fine-tuning), Howard and Ruder 2018 (smaller steps for lower layers),
Polyak and Juditsky 1992 (averaged weights), here as an exponential average over the last steps.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from framing.train.examples import Examples
from framing.train.recipe import Progress, Recipe
from framing.train.start import Start


class Net(nn.Module):
    """A pre-trained encoder, mean pooling over tokens, one logit per label."""

    def __init__(self, start: Start, labels: Sequence[str], dropout: float) -> None:
        super().__init__()
        self.encoder = start.encoder
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, len(labels))
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        if start.head is not None and start.head[0] == tuple(labels):
            self.head.load_state_dict(start.head[1])

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (batch, labels) and pooled vectors (batch, width) of padded token ids."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weight).sum(1) / weight.sum(1)
        return self.head(self.dropout(pooled)), pooled


def finetune(
    examples: Examples,
    start: Start,
    recipe: Recipe,
    checkpoints: Path,
    on_step: Callable[[Progress], None] = lambda _: None,
) -> Net:
    """Fine-tune an encoder on `examples`; go on from the last finished epoch in `checkpoints`.

    A resumed run ends with the same weights as an uninterrupted one: every epoch draws its
    order, its dropout, its slot fillings and its variations from its own seed.

    Parameters
    ----------
    examples
        Texts with targets in [0, 1], NaN where a label was not coded.
    start
        The encoder, its weights changed in place, and its tokenizer.
    checkpoints
        A folder for one checkpoint; one made by other data or another recipe is set aside.

    Returns
    -------
    Net
        With averaged weights, on the CPU, in evaluation mode.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    net = Net(start, examples.labels, recipe.dropout).to(device)
    tokenizer = start.tokenizer
    steps_an_epoch = math.ceil(len(examples) / recipe.batch_size)
    optimizer = torch.optim.AdamW(_parameter_groups(net, recipe), betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, _warm_up_then_fall(recipe.warmup, steps_an_epoch * recipe.epochs)
    )
    average = {k: v.detach().clone() for k, v in net.state_dict().items()}
    key = _key(examples, start.name, recipe)
    done = _restore(checkpoints, key, net, optimizer, schedule, average)
    autocast = torch.autocast(device, torch.bfloat16, enabled=_bfloat16_pays(device))
    net.train()
    for epoch in range(done, recipe.epochs):
        torch.manual_seed(recipe.seed * 1009 + epoch)
        rng = np.random.default_rng([recipe.seed, epoch])
        texts, targets = examples.draw(rng)
        ids = [e.ids for e in _encode(tokenizer, texts, recipe.max_tokens)]
        pad = tokenizer.padding["pad_id"]
        started, tokens, losses = time.monotonic(), 0, 0.0
        for step, rows in enumerate(_batches(ids, recipe.batch_size, rng), 1):
            batch, mask = (t.to(device) for t in _pad([ids[i] for i in rows], pad))
            with autocast:
                logits, _ = net(batch, mask)
            loss = masked_loss(logits.float(), torch.from_numpy(targets[rows]).to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            _average_in(average, net, recipe.average)
            tokens += int(mask.sum())
            losses += float(loss.detach())
            rate = tokens / (time.monotonic() - started)
            on_step(Progress(epoch, recipe.epochs, step, steps_an_epoch, losses / step, rate))
        _save(checkpoints, key, epoch + 1, net, optimizer, schedule, average)
    net.load_state_dict(average)
    return net.cpu().eval()


def masked_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the cells that were coded (a NaN target was not)."""
    known = ~targets.isnan()
    cells = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(targets), reduction="none"
    )
    return (cells * known).sum() / known.sum().clamp(min=1)


def _parameter_groups(net: Net, recipe: Recipe) -> list[dict[str, Any]]:
    layers = net.encoder.config.num_hidden_layers
    groups = []
    for name, parameter in net.named_parameters():
        if name.startswith("head"):
            factor = recipe.head_factor
        else:
            numbers = [int(part) for part in name.split(".") if part.isdigit()]
            depth = 0 if "embeddings" in name else (numbers[0] + 1 if numbers else layers)
            factor = recipe.layer_decay ** (layers - depth)
        groups.append(
            {
                "params": [parameter],
                "lr": recipe.learning_rate * factor,
                "weight_decay": 0.0 if parameter.ndim < 2 else recipe.weight_decay,
            }
        )
    return groups


def _warm_up_then_fall(warmup: float, total: int) -> Callable[[int], float]:
    rising = max(1, round(total * warmup))
    return lambda step: min((step + 1) / rising, max(0.0, (total - step) / (total - rising + 1)))


def _encode(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[Any]:
    tokenizer.enable_truncation(max_tokens)
    padding = tokenizer.padding
    tokenizer.no_padding()
    encodings: list[Any] = tokenizer.encode_batch(list(texts))
    tokenizer.enable_padding(pad_id=padding["pad_id"], pad_token=padding["pad_token"])
    tokenizer.no_truncation()
    return encodings


def _batches(ids: Sequence[Any], size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Shuffled batches whose members are of like length, so that little is padded."""
    order = rng.permutation(len(ids))
    batches = []
    for chunk in np.array_split(order, max(1, len(order) // (size * 50))):
        near = sorted(chunk.tolist(), key=lambda i: len(ids[i]))
        batches += [near[k : k + size] for k in range(0, len(near), size)]
    for k in rng.permutation(len(batches)):
        yield batches[k]


def _pad(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for r, row in enumerate(rows):
        ids[r, : len(row)] = torch.tensor(row)
        mask[r, : len(row)] = 1
    return ids, mask


@torch.no_grad()
def _average_in(average: dict[str, torch.Tensor], net: Net, keep: float) -> None:
    for name, value in net.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - keep)


def _bfloat16_pays(device: str) -> bool:
    """Whether matrix products are clearly faster in bfloat16 here; on older CPUs they crawl."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(256, 384, dtype=dtype), torch.ones(384, 384, dtype=dtype)
        a @ b
        started = time.monotonic()
        for _ in range(3):
            a @ b
        seconds[dtype] = time.monotonic() - started
    return seconds[torch.bfloat16] * 1.5 < seconds[torch.float32]


def _key(examples: Examples, encoder: str, recipe: Recipe) -> str:
    about = {"encoder": encoder, "recipe": asdict(recipe), "examples": examples.fingerprint}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _save(
    folder: Path,
    key: str,
    epochs: int,
    net: Net,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    average: dict[str, torch.Tensor],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "key": key,
        "epochs": epochs,
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": {"last_epoch": schedule.last_epoch},
        "average": average,
    }
    part = folder / "checkpoint.part"
    torch.save(state, part)
    part.replace(folder / "checkpoint.pt")


def _restore(
    folder: Path,
    key: str,
    net: Net,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    average: dict[str, torch.Tensor],
) -> int:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0
    # weights_only: a checkpoint is tensors and numbers, never code.
    state = torch.load(path, weights_only=True)
    if state["key"] != key:
        path.replace(folder / "checkpoint.other.pt")
        return 0
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.last_epoch = state["schedule"]["last_epoch"]
    average.update({k: v.to(average[k].device) for k, v in state["average"].items()})
    return int(state["epochs"])

"""The encoder: tokens in, logits out, the same numbers whatever stands in the batch.

A passage's logits are a pure function of its own tokens. What would break that, and what is done
about it:

* attention over a row padded to its batch's longest adds up in another order, so rows are padded
  to their own length rounded up to a multiple of 8 and only equal lengths share a batch;
* matrix products with a single row take another kernel, so a row is never alone in a batch;
* splitting one product over threads may change its order, so every batch is computed by one
  thread, and more threads mean more batches at a time.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framing.model.bundle import BundleError
from framing.model.manifest import MODEL, TOKENIZER

Floats = NDArray[np.float32]

PAD_TO = 8
BATCH_TOKENS = 2048  # padded tokens a batch: larger ones fall out of the cache
OVERLAP = 64  # tokens that neighbouring windows of a long passage share


class Encoder:
    """An ONNX model and its tokenizer, from their bytes.

    Parameters
    ----------
    model
        ONNX with inputs `input_ids` and `attention_mask`, int64 (batch, tokens), and two
        outputs, float32: `logits` (batch, labels) and an embedding (batch, width).
    tokenizer
        `tokenizer.json` of the `tokenizers` library.
    max_tokens
        The longest input; longer passages are read in overlapping windows, never cut.
    threads
        How many batches are computed at a time; the machine's available cores by default.
        Results do not depend on it.
    origin
        Where the bytes came from, for error messages.

    Attributes
    ----------
    labels, width
        The number of labels and of embedding dimensions.

    Raises
    ------
    BundleError
        ONNX Runtime or `tokenizers` refuses the bytes, or they are not of this shape. Also from
        the methods, where the model fails on a text.
    """

    def __init__(
        self,
        model: bytes,
        tokenizer: bytes,
        *,
        max_tokens: int,
        threads: int | None = None,
        origin: Path | str = "in memory",
    ) -> None:
        self._origin = origin
        self._threads = threads or available_cores()
        self._max_tokens = max_tokens
        self._tokenizer = self._open_tokenizer(tokenizer)
        self._session = self._open_session(model)
        self._logits, self._embedding = (o.name for o in self._session.get_outputs())
        probe = list(self.windows("."))
        self.labels = self._run(probe, self._logits).shape[1]
        self.width = self._run(probe, self._embedding).shape[1]

    def logits(self, texts: Sequence[str]) -> Floats:
        """Score texts, (n, labels).

        A passage longer than `max_tokens` gets, for each label, the highest logit of its
        windows: a framing holds where it holds anywhere in the passage.
        """
        return self._each(texts, self._logits, np.maximum)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Embed texts, (n, width); a long passage gets the mean of its windows."""
        return self._each(texts, self._embedding, np.add)

    def _each(self, texts: Sequence[str], output: str, merge: np.ufunc) -> Floats:
        """One row of `output` per text; what has the same tokens is computed once."""
        rows: dict[bytes, int] = {}
        windows = [
            [rows.setdefault(ids.tobytes(), len(rows)) for ids in self.windows(text)]
            for text in texts
        ]
        values = self._run([np.frombuffer(key, np.int64) for key in rows], output)
        width = self.labels if output == self._logits else self.width
        out = np.empty((len(texts), width), np.float32)
        for row, parts in zip(out, windows, strict=True):
            row[:] = merge.reduce(values[parts], axis=0)
            if merge is np.add:
                row /= len(parts)
        return out

    def windows(self, text: str) -> Iterator[NDArray[np.int64]]:
        """The token numbers of a text, in windows of at most `max_tokens` with special tokens."""
        encoding = self._tokenize(text)
        ids = np.array(encoding.ids or [0], np.int64)
        if len(ids) <= self._max_tokens:
            yield ids
            return
        plain = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
        head, body, tail = np.split(ids, [plain[0], plain[-1] + 1])
        size = self._max_tokens - len(head) - len(tail)
        step = size - min(OVERLAP, size // 4)
        for start in range(0, len(body) - size + step, step):
            begin = min(start, len(body) - size)  # the last window is as long as the others
            yield np.concatenate([head, body[begin : begin + size], tail])

    def _run(self, rows: Sequence[NDArray[np.int64]], output: str) -> Floats:
        """Compute `output` for token rows, in batches of one padded length."""
        batches = list(_batches([len(row) for row in rows]))

        def compute(batch: tuple[int, list[int]]) -> Floats:
            length, members = batch
            ids = np.zeros((max(2, len(members)), length), np.int64)
            mask = np.zeros_like(ids)
            for i in range(len(ids)):
                row = rows[members[min(i, len(members) - 1)]]
                ids[i, : len(row)] = row
                mask[i, : len(row)] = 1
            feed = {"input_ids": ids, "attention_mask": mask}
            try:
                (values,) = self._session.run([output], feed)
            except Exception as error:
                raise self._refused(MODEL, "does not run", error) from None
            if values.shape[:1] != ids.shape[:1] or values.ndim != 2 or values.dtype != np.float32:
                raise self._refused(MODEL, f"{output} must be float32 of shape (batch, any)")
            if not np.isfinite(values).all():
                raise self._refused(MODEL, f"{output} holds numbers that are not finite")
            return np.asarray(values[: len(members)])

        if self._threads > 1 and len(batches) > 1:
            with ThreadPoolExecutor(min(self._threads, len(batches))) as pool:
                results = list(pool.map(compute, batches))
        else:
            results = [compute(batch) for batch in batches]
        out = np.empty((len(rows), results[0].shape[1] if results else 0), np.float32)
        for (_, members), values in zip(batches, results, strict=True):
            out[members] = values
        return out

    def _tokenize(self, text: str) -> Any:
        try:
            return self._tokenizer.encode(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is not an Exception
            raise self._refused(TOKENIZER, "fails on a text", error) from None

    def _open_tokenizer(self, data: bytes) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(data)
            tokenizer.no_padding()
            tokenizer.no_truncation()
            tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
            return tokenizer
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is not an Exception
            raise self._refused(TOKENIZER, "is refused", error) from None

    def _open_session(self, data: bytes) -> Any:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what goes wrong is raised; the log would repeat it
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            session = onnxruntime.InferenceSession(
                data,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # it would print, and try the same once more
            )
        except Exception as error:
            raise self._refused(MODEL, "is refused", error) from None
        inputs = {i.name: i.type for i in session.get_inputs()}
        outputs = [o.name for o in session.get_outputs()]
        if inputs != {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}:
            raise self._refused(MODEL, "its inputs must be input_ids and attention_mask, int64")
        if len(outputs) != 2 or outputs[0] != "logits":
            raise self._refused(MODEL, "its outputs must be logits and an embedding")
        return session

    def _refused(self, file: str, why: str, error: BaseException | None = None) -> BundleError:
        if error is not None:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            why = f"{why} ({first[:200]})"
        return BundleError(self._origin, file, why)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _batches(lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield (padded length, row numbers), longest first; a batch holds one padded length only."""
    members = defaultdict(list)
    for row, length in enumerate(lengths):
        members[-(-length // PAD_TO) * PAD_TO].append(row)
    for length in sorted(members, reverse=True):
        size = max(2, BATCH_TOKENS // length)
        for start in range(0, len(members[length]), size):
            yield length, members[length][start : start + size]

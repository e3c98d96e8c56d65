"""What makes the output beside input, bundle and options: the versions of the software."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from framing import __version__

# What reads, scores and writes beside framing itself: another version may give other bytes.
_LIBRARIES = (
    "charset-normalizer", "lxml", "numpy", "onnxruntime", "py3langid", "pyarrow", "pypdfium2",
    "sentencex", "tokenizers", "trafilatura", "warcio",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """`framing`, `python` and `libraries`: versions, None for what is not installed."""
    return {
        "framing": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None

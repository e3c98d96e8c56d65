"""Label every passage of a news article by its framing.

>>> import framing
>>> model = framing.load()  # doctest: +SKIP
>>> scored = model.score(framing.read("article.html")[0])  # doctest: +SKIP

Everything here is imported on first use, so that `import framing` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framing.codebook.codebook import Codebook as Codebook
    from framing.model.classifier import load as load
    from framing.model.estimator import FramingClassifier as FramingClassifier
    from framing.text.document import Document as Document
    from framing.text.readers import read as read

__version__ = "0.1.0"

_HOMES = {
    "Codebook": "framing.codebook.codebook",
    "Document": "framing.text.document",
    "FramingClassifier": "framing.model.estimator",
    "load": "framing.model.classifier",
    "read": "framing.text.readers",
}
__all__ = ["Codebook", "Document", "FramingClassifier", "__version__", "load", "read"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'framing' has no attribute '{name}'")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise ImportError(
            f'{name} needs scikit-learn: pip install "framing[sklearn]"', name="sklearn"
        ) from None


def __dir__() -> list[str]:
    return sorted(__all__)

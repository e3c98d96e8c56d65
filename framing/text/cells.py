"""Values as cells of a table that people open in a spreadsheet."""

from __future__ import annotations

from typing import Any

# What a spreadsheet runs as a formula, also in full width.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def cell(value: Any) -> Any:
    """`value` as a cell that no spreadsheet takes for a formula; a list is joined by ``;``."""
    if isinstance(value, (list, tuple)):
        value = ";".join(map(str, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value

"""Writes rows of figures as CSV, Markdown, or a table on the console."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

Row = Mapping[str, str | float | int | bool]


def formatted(value: str | float | int | bool) -> str:
    """A figure for display: at most three significant digits; empty for NaN."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write all figures at full precision. All rows must have the same keys."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table; empty for no rows."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0])] + [[formatted(value) for value in row.values()] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def print_table(rows: Sequence[Row], title: str, console: Console) -> None:
    """Print the rows as a table, or as Markdown if the console is a file, a pipe or too narrow."""
    if not console.is_terminal or (rows and console.width < 9 * len(rows[0])):
        console.print(f"\n{title}\n{markdown(rows)}", markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else []:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(formatted(value) for value in row.values()))
    console.print(table)

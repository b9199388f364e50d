"""Report files over 400 lines and functions over 60 as errors: `python tools/check_sizes.py`, part of `make lint`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("backend", "benchmarks", "blender_addon", "tools", "training")
COPY = ROOT / "blender_addon" / "uvatar_blender" / "protocol"  # made by copy_protocol.py
FILE_LINES, FUNCTION_LINES = 400, 60


def too_long(path: Path) -> Iterator[str]:
    """One message if the file is too long, and one for each function or method that is."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield f"{name}: {lines} lines, more than {FILE_LINES}"
    for node, called in _functions(ast.parse(text), ""):
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES:
            yield f"{name}:{called}: {lines} lines, more than {FUNCTION_LINES}"


def _functions(node: ast.AST, inside: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            called = f"{inside}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield child, called
            yield from _functions(child, f"{called}.")
        else:
            yield from _functions(child, inside)


def main() -> None:
    """Print what is too long, and exit with an error if anything is."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if COPY not in path.parents)
    if found := [line for path in paths for line in too_long(path)]:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()

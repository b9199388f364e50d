"""Files over 400 lines and functions over 60: `python tools/check_sizes.py`, part of `make lint`.

Those that are longer today are listed in tools/long_code.txt. Only a new one is an error; those on
the list that have become short or are gone are named, so that the list shrinks. `--write` writes the list anew.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tools" / "long_code.txt"
FOLDERS = ("backend", "benchmarks", "blender_addon", "tools", "training")
COPY = ROOT / "blender_addon" / "uvatar_blender" / "protocol"  # made by copy_protocol.py
FILE_LINES, FUNCTION_LINES = 400, 60


def too_long(path: Path) -> Iterator[tuple[str, str]]:
    """(name, why) of the file and of its functions, methods included, that are too long."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield name, f"{lines} lines, more than {FILE_LINES}"
    for node, called in _functions(ast.parse(text), ""):
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES:
            yield f"{name}:{called}", f"{lines} lines, more than {FUNCTION_LINES}"


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
    """Compare what is too long with the list."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if COPY not in path.parents)
    found = dict(pair for path in paths for pair in too_long(path))
    if "--write" in sys.argv[1:]:
        LIST.write_text("".join(f"{name}\n" for name in sorted(found)), encoding="utf-8")
        return
    known = set(LIST.read_text(encoding="utf-8").split()) if LIST.exists() else set()
    for name in sorted(known - set(found)):
        print(f"{name}: no longer too long, take it off tools/long_code.txt")
    if new := sorted(set(found) - known):
        sys.exit("\n".join(f"{name}: {found[name]}" for name in new))


if __name__ == "__main__":
    main()

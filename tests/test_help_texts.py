"""The --help of tools and benchmarks explains them: read from their sources, because starting all takes long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    path
    for folder in ("tools", "benchmarks")
    for path in (ROOT / folder).glob("*.py")
    if "ArgumentParser(" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_help_has_an_example_and_explains_every_argument(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    about = ast.get_docstring(tree) or ""
    ways = (f"python {path.parent.name}/{path.name}", f"python -m {path.parent.name}.{path.stem}")
    assert any(f"    {way}" in line or f" {way}" in line for way in ways for line in about.splitlines()), "no example"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    for call in calls:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if call.func.attr == "ArgumentParser":  # type: ignore[attr-defined]
            assert given["description"] == "__doc__" and given["formatter_class"].endswith(
                "RawDescriptionHelpFormatter"
            )
        if call.func.attr in ("add_argument", "add_parser"):  # type: ignore[attr-defined]
            assert "help" in given, f"{ast.unparse(call.args[0])} has no help"

"""The table of error codes in docs/protocol.md is whole: what the code can raise or send stands there, and nothing
else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from uvatar.protocol.errors import UvatarError

ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def constants(tree: ast.AST | None) -> Iterator[str]:
    if tree is not None:
        yield from (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )


def codes_in(source: str) -> Iterator[str]:
    """Codes of the errors that a module makes: of `UvatarError`, of dictionaries with a "code", of variables that are
    called so.
    """
    tree = ast.parse(source)
    values = {
        name.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for name in node.targets
        if isinstance(name, ast.Name)
    }
    kinds = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "UvatarError" in map(ast.unparse, node.bases)
    ]
    makers = {"UvatarError", *(["super().__init__"] if kinds else [])}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            code = named.get("code", node.args[1] if len(node.args) > 1 else None)
            yield from constants(values.get(code.id) if isinstance(code, ast.Name) else code)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                    yield from constants(value)
        elif isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == "code" for name in ast.walk(node.targets[0])
        ):
            yield from (word for word in constants(node.value) if "-" in word)


def test_every_error_code_is_in_the_table_and_only_those() -> None:
    table = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").split("## Errors")[1].split("##")[0]
    told = {
        code
        for line in table.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }
    made = {UvatarError("").code}
    for folder in ("backend", "blender_addon"):
        for path in (ROOT / folder).rglob("*.py"):
            made |= {code for code in codes_in(path.read_text(encoding="utf-8")) if _CODE.fullmatch(code)}
    made.discard("unknown")  # what `UvatarError.from_dict` makes of an error without a code
    assert {"out-of-memory", "model-hung", "bad-photo", "server-error"} <= made
    assert made == told, f"not in the table: {made - told}; in the table only: {told - made}"

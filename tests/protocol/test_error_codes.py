"""The codes of errors: the table in docs/protocol.md has each of them, and the code uses each of them and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from uvatar.protocol.errors import Code, UvatarError

ROOT = Path(__file__).resolve().parents[2]


def sources() -> Iterator[ast.Module]:
    """The modules of backend and extension, but for the one that has the codes."""
    for folder in ("backend", "blender_addon"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parts[-2:] != ("protocol", "errors.py"):
                yield ast.parse(path.read_text(encoding="utf-8"))


def codes_given(tree: ast.Module) -> Iterator[ast.expr]:
    """What stands for the code where a module makes an error, or a dictionary with a "code"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "UvatarError":
            yield from node.args[1:2]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield value


def test_the_table_has_every_code() -> None:
    table = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").split("## Errors")[1].split("##")[0]
    told = [
        code
        for line in table.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    ]
    assert sorted(told) == sorted(Code)


def test_every_code_is_used() -> None:
    used = {
        node.attr
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Code"
    }
    unused = {code.name for code in Code} - used
    assert unused == {"MALFORMED", "UNKNOWN"} - used  # what `UvatarError` itself takes where nothing else is known


def test_codes_are_written_as_members_of_the_enumeration() -> None:
    texts = [ast.unparse(code) for tree in sources() for code in codes_given(tree) if isinstance(code, ast.Constant)]
    assert not texts


def test_codes_are_the_same_text_on_the_wire() -> None:
    error = UvatarError("It is full.", Code.QUEUE_FULL, "Wait.")
    assert error.as_dict() == {"code": "queue-full", "message": "It is full.", "fix": "Wait."}
    assert all(type(value) is str for value in error.as_dict().values())
    assert vars(UvatarError.from_dict(error.as_dict())) == vars(error)


def test_a_newer_servers_codes_are_unknown() -> None:
    for code in ("moon-in-the-way", None, 7, ["queue-full"]):
        error = UvatarError.from_dict({"code": code, "message": "It cannot be.", "fix": "Wait."})
        assert (error.code, error.message, error.fix) == (Code.UNKNOWN, "It cannot be.", "Wait.")
    assert UvatarError.from_dict({}).code is Code.UNKNOWN

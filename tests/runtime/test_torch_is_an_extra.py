"""Nothing of the product asks for PyTorch, but for the modules that define networks in it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import uvatar
from uvatar.runtime.spawn import environment

PACKAGE = Path(uvatar.__file__).parent
# Networks, what training alone uses of them, and the body that it poses with gradients.
MAY_IMPORT = (
    "body/torch_body.py",
    "fitting/lifter_network.py",
    "geometry/torch_rotations.py",
    "mesh_predictor/networks/",
    "parsing/network.py",
    "texture_predictor/networks/",
)
TORCH = ("torch", "torchvision", "safetensors")

WITHOUT_TORCH = """
import sys

for name in ("torch", "torchvision"):
    sys.modules[name] = None  # importing it raises ImportError

import numpy as np
from pathlib import Path
from uvatar.engine.engine import Engine
from uvatar.mesh_predictor.predictor import Predictor
from uvatar.runtime.networks import CheckpointError

engine = Engine.load(threads=1)
assert engine.mesh_predictor.name == "light" and engine.texture_predictor.resolution == 256
assert engine.fitting.lifter is not None and engine.parser is not None
engine.mesh_predictor.look(np.zeros((64, 64, 3), np.uint8))
Path(sys.argv[1], "ROMP.pkl").write_bytes(b"")
try:
    Predictor.load(Path(sys.argv[1], "ROMP.pkl"))
except CheckpointError as error:
    assert "uvatar[torch]" in str(error), error
else:
    raise AssertionError("ROMP.pkl was opened")
"""


def imported_at_once(source: str) -> set[str]:
    """The top names of what a module imports when it is imported itself, not in functions nor for types."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def test_only_modules_that_define_networks_import_pytorch() -> None:
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    asking = {name for name, path in modules.items() if imported_at_once(path.read_text(encoding="utf-8")) & set(TORCH)}
    assert not {name for name in asking if not name.startswith(MAY_IMPORT)}
    assert all(any(name.startswith(allowed) for name in asking) for allowed in MAY_IMPORT)


def test_no_other_module_imports_those_that_may() -> None:
    """Or PyTorch would be asked for all the same."""
    names = tuple("uvatar." + allowed.removesuffix(".py").strip("/").replace("/", ".") for allowed in MAY_IMPORT)
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).as_posix().startswith(MAY_IMPORT):
            continue
        waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
        for node in waiting:
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(names), path


def test_an_engine_works_where_pytorch_cannot_be_imported(tmp_path: Path) -> None:
    env = environment(UVATAR_MODELS=str(tmp_path / "none"))
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

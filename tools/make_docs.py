"""Write API pages from the docstrings, with pdoc: build/docs/index.html. `make docs` calls it.

    python tools/make_docs.py

A warning by pdoc counts as an error.
"""

from __future__ import annotations

import os
import pkgutil
import sys
import warnings
from importlib import import_module
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "build" / "docs"
PACKAGES = ("uvatar", "uvatar_training")


def modules(package: str) -> list[str]:
    """All modules but __main__: pdoc itself leaves out what a package's __all__ does not name."""
    paths = import_module(package).__path__
    found = (module.name for module in pkgutil.walk_packages(paths, f"{package}."))
    return [package, *(name for name in found if not name.endswith("__main__"))]


def main() -> None:
    """Write the pages."""
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # libraries ask the system for its processor when they are imported
    from pdoc import pdoc, render

    render.configure(docformat="google", search=True)
    names = [name for package in PACKAGES for name in modules(package)]
    with warnings.catch_warnings(record=True) as caught:
        pdoc(*names, output_directory=OUT)
    # A module that is named and found in its package as well gets one page, which is all that is wanted.
    told = [str(one.message) for one in caught if "pdoc" in Path(one.filename).parts]
    if problems := [text for text in told if not text.startswith("The module specification")]:
        sys.exit("\n".join(problems))
    print(f"{OUT.relative_to(Path.cwd()) if OUT.is_relative_to(Path.cwd()) else OUT}/index.html")


if __name__ == "__main__":
    main()

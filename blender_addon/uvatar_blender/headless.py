# SPDX-License-Identifier: GPL-3.0-or-later
"""Write files from a stored result, without a window.

    python -m uvatar_blender.headless RESULT --person 0 --blend avatar.blend --glb avatar.glb
    blender -b --python blender_addon/uvatar_blender/headless.py -- RESULT --person 0 --blend avatar.blend

RESULT is the result of one photo, as the backend stores it. The .blend has the person in the photo's pose, rigged, and
the photo's camera with the photo as its background. The .glb has the person in the rest pose, for game engines.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .core.result import AvatarsResult

if not __package__:  # Blender runs this as a file: make this folder the package that the relative imports need
    # It is loaded by its path, because the folder above it may belong to the environment of another Python, whose
    # numpy Blender must not find.
    _folder = Path(__file__).resolve().parent
    _spec = importlib.util.spec_from_file_location(
        _folder.name, _folder / "__init__.py", submodule_search_locations=[str(_folder)]
    )
    assert _spec is not None and _spec.loader is not None
    _package = sys.modules[_folder.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_package)
    __package__ = _folder.name

EXIT_FAILED = 1  # argparse exits with 2 for wrong arguments


def main(arguments: list[str]) -> int:
    """Write the requested files and return the exit code.

    If that fails, one sentence on standard error says why.
    """
    parser = argparse.ArgumentParser(
        prog="headless", description="Write an avatar's .blend and .glb from a stored result."
    )
    parser.add_argument("result", type=Path, help="stored result of one photo")
    parser.add_argument("--person", type=int, default=0, help="index of the person in the photo, from 0")
    parser.add_argument("--blend", type=Path, help="write a Blender file")
    parser.add_argument("--glb", type=Path, help="write a glTF binary file")
    parser.add_argument("--unlit", action="store_true", help="use an unlit material")
    options = parser.parse_args(arguments)
    if options.blend is None and options.glb is None:
        parser.error("nothing to write: give --blend, --glb or both")

    from .core.result import ResultError, parse_result
    from .protocol.errors import UvatarError
    from .protocol.message_files import load

    try:
        result = parse_result(load(options.result))
        if not 0 <= options.person < len(result.people):
            raise ResultError(f"{result.name} has {len(result.people)} people; there is no person {options.person}.")
        _write(result, options)
    except (OSError, UvatarError, ResultError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _write(result: AvatarsResult, options: argparse.Namespace) -> None:
    import bpy  # only now, so that wrong arguments are reported without waiting for it

    from .scene.avatar import ImportOptions, import_people
    from .scene.camera import render_over_photo
    from .scene.export import export_glb, save_blend

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1.0
    imported = import_people(result, scene, [options.person], ImportOptions(unlit=options.unlit))
    if imported.photo is not None:
        render_over_photo(scene, imported.photo)
    _forget_folders()
    if options.blend is not None:
        save_blend(options.blend.resolve())
    if options.glb is not None:
        export_glb(imported.rigs[0], options.glb.resolve())


def _forget_folders() -> None:
    """Keep the user's home folder, in which the file browser of the start-up file begins, out of the .blend."""
    import bpy

    for screen in bpy.data.screens:
        for space in (space for area in screen.areas for space in area.spaces if space.type == "FILE_BROWSER"):
            if space.params is not None:
                space.params.directory = b"//"


def _own_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments for this script: Blender passes on all of its own, with ours after "--"."""
    return arguments[arguments.index("--") + 1 :] if "--" in arguments else arguments[1:]


def _end(code: int) -> NoReturn:
    """End this process; Blender 4.2 as a Python module crashes in its own clean-up once it has written a glTF file."""
    bpy = sys.modules.get("bpy")
    if bpy is not None and not bpy.app.binary_path:  # it is a module of this Python
        shutil.rmtree(bpy.app.tempdir, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _end(main(_own_arguments(sys.argv)))

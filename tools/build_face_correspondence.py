"""Build weights/face_correspondence.npz: where the points of MediaPipe's face mesh lie on the open body.

You need it after a change of the open body's head or of the face landmark model.

    python tools/build_face_correspondence.py --skins ../shared/assets/makehuman/skins

The face landmark model finds its points in rendered pictures of the body's head, with several skins and from several
directions. Each point is projected back onto the mesh, averaged over the pictures, and made symmetric. Only corners of
triangles and weights are written, nothing of the skins.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from uvatar.body import BodyModel, load_open_body
from uvatar.body.data import LEFT_EYE, RIGHT_EYE
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.data.face import LIPS
from uvatar.geometry.raster import RayScene
from uvatar.perception.models import Model
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.seen.eyes import eye_colours, eye_directions

_TURNS = (-24.0, -12.0, 0.0, 12.0, 24.0)  # degrees about the vertical axis
_NODS = (-8.0, 4.0)
_SIDE = 256  # pixels of the face model's input
_POINTS = 468  # the ten of the irises move with the gaze
_LOOK_DISTANCE = 1.2
_JAW_OPEN = 0.014  # metres that the lower lip moves down when the jaw opens wide


def main() -> None:
    """Write the file, and a picture of the points if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument(
        "--skins", type=Path, required=True, help="folder of full-body skins in MakeHuman's UV layout (*.jpg)"
    )
    parser.add_argument("--weights", type=Path, default=root / "weights", help="folder to write to (default: weights)")
    parser.add_argument("--sheet", type=Path, help="also write a picture of the points on the body to this file")
    options = parser.parse_args()
    body = load_open_body(options.weights / "open_body.npz").in_network_layout()
    model = Model(options.weights / "perception", "face_landmarks.tflite")
    skins = [painted_skin(path, body) for path in sorted(options.skins.glob("*.jpg"))]
    if not skins:
        parser.error(f"no *.jpg in {options.skins}")
    points = symmetric(mean_points(skins, body, model), body)
    vertices, barycentric = on_surface(points, body)
    vertices, barycentric = lips_apart(vertices, barycentric, body)
    np.savez_compressed(
        options.weights / "face_correspondence.npz",
        index=np.arange(_POINTS, dtype=np.int32), vertices=vertices, barycentric=barycentric,
        body=body.data.name, vertex_count=len(body.data.v_template),
    )  # fmt: skip
    if options.sheet:
        cv2.imwrite(
            str(options.sheet),
            sheet(skins[0], body, np.einsum("kc,kcd->kd", barycentric, body.data.v_template[vertices])),
        )


def lips_apart(
    vertices: NDArray[np.int32], barycentric: NDArray[np.float32], body: BodyModel
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The points with those of the lower lip on the lower lip.

    Where closed lips touch, the pictures do not say which of the two a point lies on; an open jaw does.
    """
    if body.data.face is None:
        return vertices, barycentric
    template = body.data.v_template
    moved, deltas = body.data.face.key("jawOpen")
    opens = np.zeros(len(template))
    opens[moved] = -deltas[:, 1]
    lower = np.flatnonzero(opens > _JAW_OPEN)
    vertices, barycentric = vertices.copy(), barycentric.copy()
    for _, point in LIPS:
        place = barycentric[point] @ template[vertices[point]]
        middle = np.where(place[0] <= 0, lower, body.data.mirror[lower])  # right and left alike
        nearest = middle[np.linalg.norm(template[middle] - place, axis=1).argmin()]
        triangle = body.data.faces[(body.data.faces == nearest).any(1)][0]
        vertices[point], barycentric[point] = triangle, triangle == nearest
    return vertices, barycentric


def painted_skin(path: Path, body: BodyModel, size: int = 1024) -> NDArray[np.float32]:
    """(size, size, 3) linear light: the skin with eyeballs painted in."""
    pixels = np.asarray(
        cv2.resize(cv2.imread(str(path)), (size, size), interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8
    )
    atlas = Atlas.of(body, size)
    colours = linear_from_srgb(pixels.reshape(-1, 3)[atlas.table.pixel])
    eye = atlas.surface.eye[atlas.surface.faces[atlas.table.face, 0]]
    for side in (LEFT_EYE, RIGHT_EYE):
        texels = np.flatnonzero(eye == side)
        directions = eye_directions(atlas, side, texels)
        iris, white = np.array([0.1, 0.055, 0.03], np.float32), np.full(3, 0.6, np.float32)
        colours[texels] = eye_colours(directions, np.array([0, 0, 1], np.float32), iris, white)
    return atlas.table.picture(colours)


def mean_points(skins: list[Floats], body: BodyModel, model: Model) -> NDArray[np.float64]:
    """(468, 3) median rest positions over all skins and directions from which a face was found."""
    found = []
    for turn in _TURNS:
        for nod in _NODS:
            vertices, camera = posed_head(body, turn, nod)
            fragments = RayScene(vertices, body.data.faces).render(camera)
            uv = np.einsum(
                "hwk,hwkc->hwc", fragments.barycentric, body.data.uv[body.data.face_uv[np.maximum(fragments.face, 0)]]
            )
            rest = fragments.interpolate(body.data.v_template, body.data.faces)
            for skin in skins:
                picture = textured(skin, uv, fragments.mask)
                landmarks, score = face_points(model, picture)
                if score < 0.7:
                    continue
                column, row = np.clip(landmarks[:_POINTS].astype(int), 0, camera.width - 1).T
                found.append(np.where(fragments.mask[row, column, None], rest[row, column], np.nan))
    if len(found) < len(skins):
        raise SystemExit("The face model found too few faces on the rendered heads.")
    print(f"{len(found)} of {len(skins) * len(_TURNS) * len(_NODS)} pictures used")
    median: NDArray[np.float64] = np.nanmedian(np.stack(found), axis=0)
    return median


def posed_head(body: BodyModel, turn: float, nod: float) -> tuple[NDArray[np.float32], Camera]:
    """The rest body turned before a camera that looks at its face; degrees."""
    landmarks = body.data.landmark_template
    centre = np.array([0, landmarks[[2, 5, 9, 10], 1].mean(), landmarks[0, 2] - 0.08], np.float32)
    a, b = np.radians([turn, nod])
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    to_camera = np.diag([1.0, -1.0, -1.0]) @ pitch @ yaw
    vertices = ((body.data.v_template - centre) @ to_camera.T + [0, 0, _LOOK_DISTANCE]).astype(np.float32)
    return vertices, Camera(1.15 * _LOOK_DISTANCE / 0.135 * _SIDE, (_SIDE, _SIDE), 2 * _SIDE, 2 * _SIDE)


def textured(skin: NDArray[np.float32], uv: Floats, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture of the head before a grey wall."""
    size = skin.shape[0]
    flat = uv.reshape(-1, 2)
    places = np.asarray(np.column_stack([flat[:, 0], 1 - flat[:, 1]]) * size, uv.dtype)
    colours = bilinear(skin, places).reshape(*mask.shape, 3)
    return srgb_from_linear(np.where(mask[..., None], colours, 0.4))


def face_points(model: Model, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """(478, 2) landmarks in pixels of the picture, which shows one upright face in its middle, and the face
    score 0..1.
    """
    side = picture.shape[0]
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    outputs = model(small[None].astype(np.float32) / 255)
    points = next(o for o in outputs if o.size == 478 * 3).reshape(478, 3)[:, :2] * side / _SIDE
    score = next(float(o.ravel()[0]) for o in outputs if o.size == 1)
    return points, 1 / (1 + np.exp(-score))


def symmetric(points: Floats, body: BodyModel) -> NDArray[np.float64]:
    """Every point averaged with the mirror image of its partner; partners are found by assignment."""
    flipped = points * [-1, 1, 1]
    distance = np.linalg.norm(points[:, None] - flipped[None], axis=-1)
    _, partner = linear_sum_assignment(distance**2)
    mean: NDArray[np.float64] = (points + flipped[partner]) / 2
    return mean


def on_surface(points: Floats, body: BodyModel) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest places of the skin (not of the eyeballs): triangle corners (K, 3) and weights (K, 3)."""
    data = body.data
    faces = data.faces[data.part[data.faces[:, 0]] == 0]
    corners = data.v_template[faces].astype(np.float64)
    # the mouth's inside and the sockets lie behind the skin: only what faces forward can carry a landmark
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    forward = normal[:, 2] > 0.05 * np.linalg.norm(normal, axis=1)
    faces, corners = faces[forward], corners[forward]
    _, near = cKDTree(corners.mean(1)).query(points, k=24)
    weights = np.stack([_closest(point, corners[n]) for point, n in zip(points, near, strict=True)])
    distance = np.linalg.norm(np.einsum("knc,kncd->knd", weights, corners[near]) - points[:, None], axis=-1)
    best = distance.argmin(1)
    rows = np.arange(len(points))
    return faces[near[rows, best]].astype(np.int32), weights[rows, best].astype(np.float32)


def _closest(point: Floats, corners: Floats) -> NDArray[np.float64]:
    """Weights (N, 3) of about the closest point of each triangle (N, 3, 3): the plane's, clipped to the triangle."""
    u, v, w = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], point - corners[:, 0]
    uu, uv, vv, wu, wv = ((a * b).sum(-1) for a, b in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    scale = np.maximum(uu * vv - uv * uv, 1e-18)
    second, third = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale
    weights = np.clip(np.stack([1 - second - third, second, third], -1), 0, None)
    normalised: NDArray[np.float64] = weights / weights.sum(-1, keepdims=True)
    return normalised


def sheet(skin: NDArray[np.float32], body: BodyModel, points: Floats) -> NDArray[np.uint8]:
    """Pictures (BGR) of the head with the points on it, from the front and from the side."""
    pictures = []
    for turn in (0.0, 35.0):
        vertices, camera = posed_head(body, turn, 0.0)
        fragments = RayScene(vertices, body.data.faces).render(camera)
        uv = np.einsum(
            "hwk,hwkc->hwc", fragments.barycentric, body.data.uv[body.data.face_uv[np.maximum(fragments.face, 0)]]
        )
        picture = np.asarray(cv2.resize(textured(skin, uv, fragments.mask), None, fx=2, fy=2), np.uint8)
        _, nearest = cKDTree(body.data.v_template).query(points)
        offset = points - body.data.v_template[nearest]
        pixels = camera.project(vertices[nearest] + offset * [1, -1, -1]) * 2
        for x, y in pixels:
            cv2.circle(picture, (round(x), round(y)), 2, (0, 255, 0), -1)
        pictures.append(picture)
    return np.concatenate(pictures, 1)[..., ::-1]


if __name__ == "__main__":
    main()

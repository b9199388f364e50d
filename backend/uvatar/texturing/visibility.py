"""What one photo sees of the posed body, and where the picture must not be trusted to show the part that the mesh
shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Scalar
from uvatar.data.camera import Camera
from uvatar.data.hands import PALM
from uvatar.data.landmarks import ELBOWS, INDICES, PINKIES, SHOULDERS, THUMBS, WRISTS
from uvatar.data.person import Hand, Person
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import Fragments, RayScene
from uvatar.photos.sampling import bilinear
from uvatar.texturing.surface import HEAD, LEFT_ARM, LEFT_HAND, RIGHT_ARM, RIGHT_HAND, Surface

# Longer side of the picture in which occlusion margins are drawn, pixels.
_PICTURE = 448
# The camera sees nothing nearer than this, metres.
_NEAREST = 0.05
# Two neighbouring pixels further apart than this in depth (metres) show two different things.
_JUMP = 0.045
# The lengths below are metres on a body of this stature and scale with the person's.
_STATURE = 1.7
# How far the fitted outline of a nearer part may be off: this far around it nothing behind is trusted.
_MARGIN = 0.010
_FOREARM_RADIUS = 0.048
_UPPER_ARM_RADIUS = 0.036
_FINGER_RADIUS = 0.018
_HAND_SLACK = 0.012
_BLAZEPOSE_ARMS = {
    arm: (shoulder, elbow, wrist, fingers)
    for arm, shoulder, elbow, wrist, *fingers in zip(
        (LEFT_ARM, RIGHT_ARM), SHOULDERS, ELBOWS, WRISTS, PINKIES, INDICES, THUMBS, strict=True
    )
}
_HAND_OF_ARM = {LEFT_ARM: LEFT_HAND, RIGHT_ARM: RIGHT_HAND}
_HAND_BONES = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (5, 9), (9, 10), (10, 11), (11, 12),
               (9, 13), (13, 14),
               (14, 15), (15, 16), (13, 17), (0, 17), (17, 18), (18, 19), (19, 20)]  # fmt: skip


@dataclass(frozen=True)
class Visibility:
    """The posed body before the camera.

    Attributes:
        vertices: (V, 3) camera frame, none nearer than a few centimetres; pixels: (V, 2) where they project in the
            photo.
        cosine: (V,) between the normal and the direction to the camera, negative on the far side.
        facing: (F,) bool, triangles whose front the camera is on.
        pixels_per_metre: at the person's distance.
        scene: the mesh for visibility rays.
        camera: of the small picture below.
        part: (h, w) uint8 part that each pixel of the small picture shows, 255 where none.
        nearest: (h, w) float32 least depth in and around each pixel of it, metres.
        trust: (h, w) float32 0..1, whether the photo shows there what the mesh shows there.
    """

    vertices: NDArray[np.float32]
    pixels: NDArray[np.float32]
    cosine: NDArray[np.float32]
    facing: NDArray[np.bool_]
    pixels_per_metre: float
    scene: RayScene
    camera: Camera
    part: NDArray[np.uint8]
    nearest: NDArray[np.float32]
    trust: NDArray[np.float32]

    def trust_at(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Trust (K,) at (K, 3) points of the camera frame; none beside the outline of something nearer."""
        trust = bilinear(self.trust, self.camera.project(points))
        return np.where(self._at(self.nearest, points) < points[:, 2] - _JUMP, 0, trust).astype(np.float32)

    def part_at(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Part (K,) that the small picture shows at (K, 3) points of the camera frame, 255 for none."""
        return self._at(self.part, points)

    def _at(self, picture: NDArray[Scalar], points: NDArray[np.float32]) -> NDArray[Scalar]:
        column, row = self.camera.project(points).astype(np.int32).T
        height, width = picture.shape
        found: NDArray[Scalar] = picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        return found


def compute_visibility(vertices: NDArray[np.float32], surface: Surface, person: Person, camera: Camera) -> Visibility:
    """Place (V, 3) vertices before the camera and find what it sees.

    What lies beside or behind the camera is not seen; in close-ups that may be the legs.  Raises ValueError if
    nothing lies before it.
    """
    before = vertices[:, 2] > _NEAREST
    if not before.any():
        raise ValueError("the body is behind the camera")
    scene = RayScene(vertices, surface.faces)
    vertices = vertices.copy()
    vertices[:, 2] = np.maximum(vertices[:, 2], _NEAREST)
    faces = surface.faces
    cosine = -(vertex_normals(vertices, faces) * vertices).sum(1) / np.linalg.norm(vertices, axis=1)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    facing = ((face_normals * a).sum(1) < 0) & before[faces].all(1)
    stature = surface.stature * np.sqrt(np.linalg.norm(face_normals, axis=1).sum() / surface.double_area)
    pixels = camera.project(vertices).astype(np.float32)
    reach = np.array([camera.width, camera.height])
    shown = np.clip(pixels[before], -reach, 2 * reach)
    low, high = np.floor(shown.min(0)).astype(int) - 2, np.ceil(shown.max(0)).astype(int) + 2
    small = camera.cropped((int(low[0]), int(low[1]), int(high[0]), int(high[1])), _PICTURE / float((high - low).max()))
    pixels_per_metre = camera.focal / float(np.median(vertices[:, 2]))
    fragments = scene.render(small)
    part = np.where(fragments.mask, surface.part[faces[fragments.face, 0]], 255).astype(np.uint8)
    scale = small.focal / camera.focal
    to_small = _PhotoToPicture(
        np.array([low[0], low[1]], float), scale, pixels_per_metre * scale * float(stature) / _STATURE
    )
    wrong = _behind_edges(fragments, to_small) | _wrong_limbs(part, person, to_small)
    trust = cv2.GaussianBlur(1 - wrong.astype(np.float32), (0, 0), max(0.6, 0.003 * to_small.metre))
    nearest = cv2.erode(np.where(fragments.mask, fragments.depth, np.float32(1e6)), np.ones((3, 3), np.uint8))
    return Visibility(
        vertices, pixels, cosine.astype(np.float32), facing, pixels_per_metre, scene, small, part,
        np.asarray(nearest, np.float32), np.asarray(trust, np.float32),
    )  # fmt: skip


@dataclass(frozen=True)
class _PhotoToPicture:
    """From the photo's pixels to those of the small picture; ``metre``: pixels of it per metre of a 1.7 m body."""

    origin: NDArray[np.float64]
    scale: float
    metre: float

    def __call__(self, points: Floats) -> NDArray[np.float64]:
        return (points - self.origin) * self.scale

    def thickness(self, radius: float) -> int:
        return max(1, round(2 * radius * self.metre))


def _behind_edges(fragments: Fragments, picture: _PhotoToPicture) -> NDArray[np.bool_]:
    """Pixels that lie behind a nearer part's outline and close to it."""
    depth = fragments.depth
    padded = np.pad(depth, 1, constant_values=np.inf)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    farthest = np.where(np.isfinite(neighbours), neighbours, -np.inf).max(0)
    rim = np.where(fragments.mask & (farthest > depth + _JUMP), depth, np.float32(1e6)).astype(np.float32)
    side = picture.thickness(_MARGIN) | 1
    nearest_rim = cv2.erode(rim, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return fragments.mask & (nearest_rim + 0.8 * _JUMP < depth)


def _wrong_limbs(part: NDArray[np.uint8], person: Person, picture: _PhotoToPicture) -> NDArray[np.bool_]:
    """Pixels where the photo shows an arm or a hand and the mesh something else, or the mesh a hand and the photo does
    not.
    """
    wrong = np.zeros(part.shape, bool)
    for arm, (shoulder, elbow, wrist, fingers) in _BLAZEPOSE_ARMS.items():
        landmarks, hand_part = person.landmarks, _HAND_OF_ARM[arm]
        hand = person.left_hand if arm == LEFT_ARM else person.right_hand
        upper, fore, palm = (np.zeros(part.shape, np.uint8) for _ in range(3))
        if min(landmarks[shoulder, 2], landmarks[elbow, 2]) > 0.6:
            # the shoulder itself belongs to the trunk as much as to the arm
            start = 0.6 * landmarks[shoulder, :2] + 0.4 * landmarks[elbow, :2]
            _capsule(upper, picture(start), picture(landmarks[elbow, :2]), picture.thickness(_UPPER_ARM_RADIUS))
        if min(landmarks[elbow, 2], landmarks[wrist, 2]) > 0.6:
            _capsule(
                fore, picture(landmarks[elbow, :2]), picture(landmarks[wrist, :2]), picture.thickness(_FOREARM_RADIUS)
            )
        if hand is not None and hand.score > 0.5:
            _draw_hand(palm, hand, picture)
        elif landmarks[wrist, 2] > 0.6:
            for finger in fingers:
                _capsule(palm, picture(landmarks[wrist, :2]), picture(landmarks[finger, :2]), picture.thickness(0.03))
        arm_shown = (part == arm) | (part == hand_part) | (part == 255)
        wrong |= ((fore > 0) | (palm > 0)) & ~arm_shown
        wrong |= (upper > 0) & ~arm_shown & (part != HEAD)
        if palm.any():
            side = picture.thickness(_HAND_SLACK) | 1
            near_hand = cv2.dilate(palm, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
            wrong |= (part == hand_part) & ~near_hand
    return wrong


def _draw_hand(canvas: NDArray[np.uint8], hand: Hand, picture: _PhotoToPicture) -> None:
    points = picture(hand.points)
    for start, end in _HAND_BONES:
        _capsule(canvas, points[start], points[end], picture.thickness(_FINGER_RADIUS))
    cv2.fillConvexPoly(canvas, cv2.convexHull(points[PALM].round().astype(np.int32)), (255,))


def _capsule(canvas: NDArray[np.uint8], start: Floats, end: Floats, thickness: int) -> None:
    limit = 8 * max(canvas.shape)
    if np.abs(np.concatenate([start, end])).max() < limit:
        (x0, y0), (x1, y1) = start.round().astype(int).tolist(), end.round().astype(int).tolist()
        cv2.line(canvas, (x0, y0), (x1, y1), (255,), thickness)

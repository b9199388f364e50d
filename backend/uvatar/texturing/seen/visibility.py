"""Which part of the posed body a photo shows, and where the photo may show another part than the mesh does."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Scalar
from uvatar.data.camera import Camera
from uvatar.data.hands import HAND_BONES, PALM
from uvatar.data.landmarks import ELBOWS, INDICES, PINKIES, SHOULDERS, THUMBS, WRISTS
from uvatar.data.person import Hand, Person
from uvatar.geometry.mesh import vertex_normals
from uvatar.geometry.raster import Fragments, RayScene
from uvatar.photos.sampling import bilinear
from uvatar.texturing.layout.surface import ARMS, HANDS, Part, Surface

_STATURE = 1.7  # metres: of the body that lengths of `VisibilitySettings` are measured on
_NO_PART = 255
_FAR = np.float32(1e6)  # metres: the depth where nothing is
# Landmarks of each arm: shoulder, elbow, wrist, knuckles.
_ARM_LANDMARKS = {
    arm: (shoulder, elbow, wrist, knuckles)
    for arm, shoulder, elbow, wrist, *knuckles in zip(
        ARMS, SHOULDERS, ELBOWS, WRISTS, PINKIES, INDICES, THUMBS, strict=True
    )
}
_HAND_OF_ARM = dict(zip(ARMS, HANDS, strict=True))


@dataclass(frozen=True)
class VisibilitySettings:
    """Tuned numbers of visibility. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        picture_side: longer side, pixels, of the picture in which depth edges and limbs are drawn.
        nearest: distance from the camera, metres, within which nothing is seen: in close-ups, limbs lie behind it.
        depth_step: metres in depth by which neighbouring pixels that show two different things differ at least.
        behind_step: share of ``depth_step`` that something must lie behind an edge to be hidden by it.
        edge_margin: how far the fitted outline of a nearer part may be off: nothing behind is trusted this far around
            it. Metres on a body of 1.7 m, scaled with the person's, as all lengths below. Tuned on real photos: 10 mm
            instead of 20, together with `ProjectionSettings.similar_colours`, brought 1 dB.
        forearm_radius, upper_arm_radius: of the limbs drawn into the picture, tuned on real photos.
        finger_radius, knuckle_radius: of fingers where the hand model saw the hand, and of the lines from wrist to
            knuckles where it did not.
        hand_margin: around the hand that the photo shows, within which the mesh may show a hand.
        upper_arm_start: share of the way from the shoulder to the elbow at which the upper arm begins: the shoulder
            belongs to the trunk as much as to the arm.
        landmark_visibility: from which an arm's landmark is believed.
        hand_score: from which the hand model is believed.
        blur, least_blur: standard deviation of the blur of the trust map, metres, and at least so many pixels.
    """

    picture_side: int = 448
    nearest: float = 0.05
    depth_step: float = 0.045
    behind_step: float = 0.8
    edge_margin: float = 0.010
    forearm_radius: float = 0.048
    upper_arm_radius: float = 0.036
    finger_radius: float = 0.018
    knuckle_radius: float = 0.03
    hand_margin: float = 0.012
    upper_arm_start: float = 0.4
    landmark_visibility: float = 0.6
    hand_score: float = 0.5
    blur: float = 0.003
    least_blur: float = 0.6


DEFAULT_SETTINGS = VisibilitySettings()


@dataclass(frozen=True)
class Visibility:
    """The posed body in front of the camera, and which of it the photo shows.

    Attributes:
        vertices: (V, 3) camera frame, metres, none nearer than `VisibilitySettings.nearest`.
        pixels: (V, 2) where they project in the photo.
        normals: (V, 3) unit vectors, camera frame.
        cosine: (V,) between the normal and the direction to the camera, negative on the far side.
        facing: (F,) bool, triangles whose front the camera is on.
        pixels_per_metre: at the person's distance, pixels of the photo.
        size: of the posed body, relative to one of 1.7 m.
        scene: the mesh for visibility rays.
        camera: of the small picture below.
        part: (h, w) uint8 `Part` that each pixel of the small picture shows, 255 where none.
        nearest: (h, w) float32 least depth in and around each pixel of it, metres.
        trust: (h, w) float32 0..1, whether the photo shows there what the mesh shows there.
        settings: tuned numbers.
    """

    vertices: NDArray[np.float32]
    pixels: NDArray[np.float32]
    normals: NDArray[np.float32]
    cosine: NDArray[np.float32]
    facing: NDArray[np.bool_]
    pixels_per_metre: float
    size: float
    scene: RayScene
    camera: Camera
    part: NDArray[np.uint8]
    nearest: NDArray[np.float32]
    trust: NDArray[np.float32]
    settings: VisibilitySettings

    def trust_at(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Trust (K,), 0..1, at points (K, 3) of the camera frame, metres; 0 beside the outline of something nearer."""
        trust = bilinear(self.trust, self.camera.project(points))
        return np.where(self._at(self.nearest, points) < points[:, 2] - self.settings.depth_step, 0, trust).astype(
            np.float32
        )

    def part_at(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Part (K,) that the small picture shows at points (K, 3) of the camera frame, metres; 255 for none."""
        return self._at(self.part, points)

    def _at(self, picture: NDArray[Scalar], points: NDArray[np.float32]) -> NDArray[Scalar]:
        column, row = self.camera.project(points).astype(np.int32).T
        height, width = picture.shape
        found: NDArray[Scalar] = picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        return found


def compute_visibility(
    vertices: NDArray[np.float32],
    surface: Surface,
    person: Person,
    camera: Camera,
    settings: VisibilitySettings = DEFAULT_SETTINGS,
) -> Visibility:
    """Find what the camera sees of the body.

    Args:
        vertices: (V, 3) of the posed body, camera frame, metres.
        surface: of the body.
        person: whose landmarks and hands tell where the photo shows arms.
        camera: the photo's.
        settings: tuned numbers.

    What lies beside or behind the camera is not seen; in close-ups that may be the legs.

    Raises ValueError if the whole body lies behind the camera.
    """
    before = vertices[:, 2] > settings.nearest
    if not before.any():
        raise ValueError("the body is behind the camera")
    scene = RayScene(vertices, surface.faces)
    vertices = vertices.copy()
    vertices[:, 2] = np.maximum(vertices[:, 2], settings.nearest)
    faces = surface.faces
    normals = vertex_normals(vertices, faces)
    cosine = -(normals * vertices).sum(1) / np.linalg.norm(vertices, axis=1)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    facing = ((face_normals * a).sum(1) < 0) & before[faces].all(1)
    area = np.linalg.norm(face_normals, axis=1).sum()
    size = float(surface.stature * np.sqrt(area / surface.double_area)) / _STATURE
    pixels = camera.project(vertices).astype(np.float32)
    reach = np.array([camera.width, camera.height])
    shown = np.clip(pixels[before], -reach, 2 * reach)
    low, high = np.floor(shown.min(0)).astype(int) - 2, np.ceil(shown.max(0)).astype(int) + 2
    small = camera.cropped(
        (int(low[0]), int(low[1]), int(high[0]), int(high[1])), settings.picture_side / float((high - low).max())
    )
    pixels_per_metre = camera.focal / float(np.median(vertices[:, 2]))
    fragments = scene.render(small)
    part = np.where(fragments.mask, surface.part[faces[fragments.face, 0]], _NO_PART).astype(np.uint8)
    scale = small.focal / camera.focal
    to_small = _PhotoToPicture(np.array([low[0], low[1]], float), scale, pixels_per_metre * scale * size)
    wrong = _behind_edges(fragments, to_small, settings) | _wrong_limbs(part, person, to_small, settings)
    trust = cv2.GaussianBlur(
        1 - wrong.astype(np.float32), (0, 0), max(settings.least_blur, settings.blur * to_small.metre)
    )
    nearest = cv2.erode(np.where(fragments.mask, fragments.depth, _FAR), np.ones((3, 3), np.uint8))
    return Visibility(
        vertices, pixels, normals, cosine.astype(np.float32), facing, pixels_per_metre, size, scene, small, part,
        np.asarray(nearest, np.float32), np.asarray(trust, np.float32), settings,
    )  # fmt: skip


@dataclass(frozen=True)
class _PhotoToPicture:
    """From the photo's pixels to those of the small picture.

    Attributes:
        origin: (2,) pixel of the photo at the picture's top-left corner.
        scale: pixels of the picture per pixel of the photo.
        metre: pixels of the picture per metre of a 1.7 m body.
    """

    origin: NDArray[np.float64]
    scale: float
    metre: float

    def __call__(self, points: Floats) -> NDArray[np.float64]:
        return (points - self.origin) * self.scale

    def thickness(self, radius: float) -> int:
        return max(1, round(2 * radius * self.metre))


def _behind_edges(fragments: Fragments, picture: _PhotoToPicture, settings: VisibilitySettings) -> NDArray[np.bool_]:
    """(h, w) pixels that lie behind a nearer part's outline and close to it."""
    depth = fragments.depth
    padded = np.pad(depth, 1, constant_values=np.inf)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    farthest = np.where(np.isfinite(neighbours), neighbours, -np.inf).max(0)
    rim = np.where(fragments.mask & (farthest > depth + settings.depth_step), depth, _FAR).astype(np.float32)
    side = picture.thickness(settings.edge_margin) | 1
    nearest_rim = cv2.erode(rim, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return fragments.mask & (nearest_rim + settings.behind_step * settings.depth_step < depth)


def _wrong_limbs(
    part: NDArray[np.uint8], person: Person, picture: _PhotoToPicture, settings: VisibilitySettings
) -> NDArray[np.bool_]:
    """(h, w) pixels where the photo shows an arm or a hand and the mesh something else, or the mesh a hand and the
    photo does not.
    """
    wrong = np.zeros(part.shape, bool)
    for arm, (shoulder, elbow, wrist, knuckles) in _ARM_LANDMARKS.items():
        landmarks, hand_part = person.landmarks, _HAND_OF_ARM[arm]
        hand = person.left_hand if arm == Part.LEFT_ARM else person.right_hand
        upper, fore, palm = (np.zeros(part.shape, np.uint8) for _ in range(3))
        if min(landmarks[shoulder, 2], landmarks[elbow, 2]) > settings.landmark_visibility:
            way = settings.upper_arm_start
            start = (1 - way) * landmarks[shoulder, :2] + way * landmarks[elbow, :2]
            _capsule(upper, picture(start), picture(landmarks[elbow, :2]), picture.thickness(settings.upper_arm_radius))
        if min(landmarks[elbow, 2], landmarks[wrist, 2]) > settings.landmark_visibility:
            _capsule(
                fore,
                picture(landmarks[elbow, :2]),
                picture(landmarks[wrist, :2]),
                picture.thickness(settings.forearm_radius),
            )
        if hand is not None and hand.score > settings.hand_score:
            _draw_hand(palm, hand, picture, settings)
        elif landmarks[wrist, 2] > settings.landmark_visibility:
            for knuckle in knuckles:
                start, end = picture(landmarks[wrist, :2]), picture(landmarks[knuckle, :2])
                _capsule(palm, start, end, picture.thickness(settings.knuckle_radius))
        arm_shown = (part == arm) | (part == hand_part) | (part == _NO_PART)
        wrong |= ((fore > 0) | (palm > 0)) & ~arm_shown
        wrong |= (upper > 0) & ~arm_shown & (part != Part.HEAD)
        if palm.any():
            side = picture.thickness(settings.hand_margin) | 1
            near_hand = cv2.dilate(palm, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
            wrong |= (part == hand_part) & ~near_hand
    return wrong


def _draw_hand(canvas: NDArray[np.uint8], hand: Hand, picture: _PhotoToPicture, settings: VisibilitySettings) -> None:
    """Write 255 where the hand's palm and fingers are."""
    points = picture(hand.points)
    for start, end in HAND_BONES:
        _capsule(canvas, points[start], points[end], picture.thickness(settings.finger_radius))
    cv2.fillConvexPoly(canvas, cv2.convexHull(points[PALM].round().astype(np.int32)), (255,))


def _capsule(canvas: NDArray[np.uint8], start: Floats, end: Floats, thickness: int) -> None:
    """Write 255 along a line with round ends; nothing far outside, where OpenCV's coordinates would overflow."""
    limit = 8 * max(canvas.shape)
    if np.abs(np.concatenate([start, end])).max() < limit:
        (x0, y0), (x1, y1) = start.round().astype(int).tolist(), end.round().astype(int).tolist()
        cv2.line(canvas, (x0, y0), (x1, y1), (255,), thickness)

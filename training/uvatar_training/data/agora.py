"""AGORA (Patel et al. 2021): scanned people in rendered environments, with SMPL fits.

Its licence allows non-commercial research only, so Uvatar ships nothing that is made from it.

Read according to its documentation: dataframes ``*_withjv.pkl`` or ``*.pkl`` with one row per image and lists of
people; fits as pickles of (CUDA) tensors; person masks; cameras, identified by the image's name. Lengths are Unreal's
centimetres (x forward, y right, z up) until `placement` converts them to metres in the camera frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar_training.data.pickles import read_table, read_tensors
from uvatar_training.data.problems import DataError, Skipped
from uvatar_training.data.sample import PersonLabel, Sample

FULL_SIZE = (3840, 2160)  # pixels of gt_joints_2d
SENSOR = (36.0, 20.25)  # millimetres
MOST_OCCLUDED, FEWEST_JOINTS = 70.0, 8  # as in the official training script
HELD_OUT_EVERY = 20  # one in this number of scans is held out
_FLIP = np.diag([1.0, -1.0, -1.0])  # SMPL's axes to the camera's
_MARGIN = 1.15
_MEANINGFUL_MASK = 64  # least pixels of a mask


@dataclass(frozen=True)
class AgoraCamera:
    """An image's camera.

    Attributes:
        focal: focal length, millimetres.
        position: (3,) centimetres, Unreal's axes.
        yaw, pitch: degrees.
        ground: (3,) offset of the ground for images that need it, metres, camera axes.
    """

    focal: float
    position: tuple[float, float, float]
    yaw: float
    pitch: float
    ground: tuple[float, float, float] = (0.0, 0.0, 0.0)


# By a part of the image's name; other images are placed by their row.
_FIXED = {
    "hdri": AgoraCamera(50, (0, 0, 170), 0, 0),
    "cam00": AgoraCamera(18, (400, -275, 265), 135, 30),
    "cam01": AgoraCamera(18, (400, 225, 265), -135, 30),
    "cam02": AgoraCamera(18, (-490, 170, 265), -45, 30),
    "cam03": AgoraCamera(18, (-490, -275, 265), 45, 30),
    "ag2": AgoraCamera(28, (0, 0, 170), 0, 15),
}


def camera_of(image: str, row: Any) -> AgoraCamera:
    """The camera of an image; ``row`` gives camX, camY, camZ and camYaw if the image's name does not identify it."""
    for name, camera in _FIXED.items():
        if name in image:
            return camera
    position = (float(row["camX"]), float(row["camY"]), float(row["camZ"]))
    return AgoraCamera(28, position, float(row["camYaw"]), 0, (0.0, -1.7, 0.0))


def pinhole(camera: AgoraCamera, width: int, height: int) -> Camera:
    """The pinhole camera, in pixels, of an image of this size.

    Both axes have the same focal length, because sensor and image have the same aspect ratio.
    """
    return Camera(camera.focal / SENSOR[0] * width, (width / 2, height / 2), width, height)


def placement(
    camera: AgoraCamera, position: tuple[float, float, float], yaw: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rotation (3, 3) and translation (3,), metres, from a person's SMPL vertices to the camera frame.

    p = Rx(pitch) Ry(-camera yaw) (Ry(yaw - 90) diag(1, -1, -1) v + t - c); the vertices v include the fit's
    translation.
    """
    turn = Rotation.from_euler("y", yaw - 90, degrees=True).as_matrix() @ _FLIP
    view = (
        Rotation.from_euler("x", camera.pitch, degrees=True) * Rotation.from_euler("y", -camera.yaw, degrees=True)
    ).as_matrix()
    return view @ turn, view @ (_metres(position) - _metres(camera.position) - np.array(camera.ground))


def _metres(centimetres: tuple[float, float, float]) -> NDArray[np.float64]:
    """Unreal's axes and centimetres to the camera's and metres: (X, Y, Z) / 100 -> (Y, -Z, X)."""
    x, y, z = centimetres
    return np.array([y, -z, x], np.float64) / 100


@dataclass(frozen=True)
class AgoraFit:
    """One person's SMPL fit: betas (10,), or (11,) of a child; axis-angles and translation (metres) in SMPL's frame."""

    betas: NDArray[np.float32]
    global_orient: NDArray[np.float32]
    body_pose: NDArray[np.float32]
    transl: NDArray[np.float32]


def read_fit(path: Path, kid: bool) -> AgoraFit:
    """Read a fit's pickle, with keys ``root_pose`` and ``translation`` or ``global_orient`` and ``transl``.

    Adults' fits may have an eleventh beta, which has no meaning and is dropped.

    Raises:
        DataError: the file is missing, damaged or incomplete, or has numbers that are not finite.
    """
    content = read_tensors(path)

    def numbers(size: int, *names: str) -> NDArray[np.float32]:
        name = next((name for name in names if name in content), None)
        if name is None:
            raise DataError(path, f"lacks {' and '.join(names)}")
        value = content[name]
        array = np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, np.float32).reshape(-1)
        if array.size < size:
            raise DataError(path, f"has {array.size} numbers in {name}, expected {size}")
        if not np.isfinite(array).all():
            raise DataError(path, f"holds numbers in {name} that are not finite")
        return array

    betas = numbers(11 if kid else 10, "betas")[: 11 if kid else 10]
    pose = numbers(69, "body_pose")[:69].reshape(23, 3)
    return AgoraFit(betas, numbers(3, "global_orient", "root_pose")[:3], pose, numbers(3, "transl", "translation")[:3])


@dataclass(frozen=True)
class Agora:
    """The data set's folders, and which samples to read.

    Attributes:
        images, fits, frames: folders of the images, of the fits (``gt_path_smpl`` is relative to it), and of the
            dataframes.
        masks: folder of the person masks, or None.
        body: the neutral SMPL body, for fits' translations (and joints, if the dataframes have none); None leaves
            `transl` unknown.
        kid_template: (6890, 3) SMIL's template aligned with SMPL's, for children's joints.
        cut_out: one sample per person, cut out on white (the paper's simplification), instead of one per image.
        split: "train" or "held_out", by scan, because a scan appears in many images.
        most_occluded: people with more occlusion are left out, percent.
        skipped: what was left out, and why.
    """

    images: Path
    fits: Path
    frames: Path
    masks: Path | None = None
    body: BodyModel | None = None
    kid_template: NDArray[np.float32] | None = None
    cut_out: bool = False
    split: str = "train"
    most_occluded: float = MOST_OCCLUDED
    skipped: Skipped = field(default_factory=Skipped)

    def __post_init__(self) -> None:
        """Raise DataError if a folder or the dataframes are missing."""
        for path in (self.images, self.fits, self.frames, *([self.masks] if self.masks else [])):
            if not path.is_dir():
                raise DataError(path, "the folder does not exist")
        if self.cut_out and self.masks is None:
            raise DataError(self.images, "people can only be cut out with masks")
        if not self.tables():
            raise DataError(self.frames, "holds no dataframes (*.pkl)")

    def tables(self) -> list[Path]:
        """The dataframes; only those with joints if there are any."""
        every = sorted(self.frames.glob("*.pkl"))
        return [path for path in every if path.stem.endswith("_withjv")] or every

    def samples(self) -> Iterator[Sample]:
        """Yield all usable samples of the split; the others are counted in ``skipped``.

        Raises:
            DataError: a dataframe cannot be read.
        """
        for path in self.tables():
            table = read_table(path)
            for _, row in table.iterrows():
                try:
                    yield from self._image(row)
                except DataError as error:
                    self.skipped.add(error)

    def _image(self, row: Any) -> Iterator[Sample]:
        name = str(row["imgPath"])
        people, strangers = [], False
        for number in range(len(row["X"])):
            try:
                label = self._person(row, number)
            except DataError as error:
                self.skipped.add(error)
                label = None
            strangers |= label is None
            if label is not None:
                people.append((number, label))
        mine = [(number, label) for number, label in people if split_of(str(label.facts["scan"])) == self.split]
        if not mine:
            return
        # A training image must not show held-out people.
        if self.split == "train" and not self.cut_out and len(mine) < len(people):
            return
        image, camera = self._read(name, row)
        scale = camera.width / FULL_SIZE[0]
        if self.cut_out:
            for number, label in mine:
                try:
                    yield self._alone(name, image, camera, number, _scaled(label, scale, camera))
                except DataError as error:
                    self.skipped.add(error)
            return
        found = [self._mask(name, number, image.shape[:2]) for number, _ in mine]
        masks = [mask for mask in found if mask is not None]
        labels = [_scaled(label, scale, camera) for _, label in mine]
        whole = None
        if len(masks) == len(labels) and masks:
            whole = np.zeros(image.shape[:2], np.uint8)
            for k, mask in enumerate(masks):
                whole[mask] = k + 1
            labels = [_seen_in(label, mask) for label, mask in zip(labels, masks, strict=True)]
        complete = not strangers and len(mine) == len(row["X"])
        yield Sample(name, "agora", self.split, image, camera, tuple(labels), whole, complete)

    def _person(self, row: Any, number: int) -> PersonLabel | None:
        """One person's label in full-size pixels, or None if the person is left out.

        Raises DataError if the fit cannot be used.
        """
        if not bool(row["isValid"][number]) or float(row["occlusion"][number]) > self.most_occluded:
            return None
        path = self.fits / Path(str(row["gt_path_smpl"][number])).with_suffix(".pkl")
        kid = bool(row["kid"][number])
        fit = read_fit(path, kid)
        seen_by = camera_of(str(row["imgPath"]), row)
        position = (float(row["X"][number]), float(row["Y"][number]), float(row["Z"][number]))
        rotation, shift = placement(seen_by, position, float(row["Yaw"][number]))
        orient = (Rotation.from_matrix(rotation) * Rotation.from_rotvec(fit.global_orient)).as_rotvec()
        full = pinhole(seen_by, *FULL_SIZE)
        rest = self._rest_joints(fit, kid)
        transl = np.full(3, np.nan)
        if rest is not None:
            # The root rotates the body about its pelvis, the placement about the origin of SMPL's frame.
            transl = rotation @ (rest[0] + fit.transl) + shift - rest[0]
        if "gt_joints_3d" in row and row["gt_joints_3d"] is not None:
            joints = np.asarray(row["gt_joints_3d"][number], np.float64)[:24]
            pixels = np.asarray(row["gt_joints_2d"][number], np.float64)[:24, :2]
        elif rest is not None and self.body is not None:
            joints = posed_joints(self.body, rest, fit) @ rotation.T + shift
            pixels = full.project(joints)
        else:
            raise DataError(path, "has no joints: use the dataframes with joints (_withjv), or give the SMPL body")
        inside = (joints[:, 2] > 0) & (pixels >= 0).all(1) & (pixels < FULL_SIZE).all(1)
        if inside.sum() < FEWEST_JOINTS:
            return None
        facts = {
            "scan": Path(str(row["gt_path_smpl"][number])).stem, "kid": kid, "gender": str(row["gender"][number]),
            "occlusion": float(row["occlusion"][number]), "person": number,
        }  # fmt: skip
        return PersonLabel(
            "smpl-neutral", fit.betas, orient.astype(np.float32), fit.body_pose, transl.astype(np.float32),
            joints.astype(np.float32),
            pixels.astype(np.float32), inside, facts=facts,
        )  # fmt: skip

    def _rest_joints(self, fit: AgoraFit, kid: bool) -> NDArray[np.float64] | None:
        """Rest joints (24, 3) of the fit's shape; None without a body, and for children without their template."""
        if self.body is None or (kid and self.kid_template is None):
            return None
        data = self.body.data
        rest = data.joint_template + data.joint_shapedirs @ fit.betas[:10]
        if kid and self.kid_template is not None:
            # As in smplx: the eleventh beta interpolates from SMPL's template to SMIL's, centred.
            away = (self.kid_template - self.kid_template.mean(0)) - data.v_template
            rest = rest + fit.betas[10] * (data.J_regressor @ away)
        return np.asarray(rest, np.float64)

    def _read(self, name: str, row: Any) -> tuple[NDArray[np.uint8], Camera]:
        stem = Path(name).stem
        for path in (self.images / name, self.images / f"{stem}_1280x720.png", self.images / f"{stem}.png"):
            if path.is_file():
                image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
                if image is None:
                    raise DataError(path, "cannot be read as a picture")
                height, width = image.shape[:2]
                return np.ascontiguousarray(image[..., ::-1]), pinhole(camera_of(name, row), width, height)
        raise DataError(self.images / name, "is missing")

    def _mask(self, name: str, number: int, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """One person's mask (H, W); None if the data set has none."""
        if self.masks is None:
            return None
        path = mask_path(self.masks, name, number, shape[1] < FULL_SIZE[0])
        if not path.is_file():
            return None
        mask = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != shape[:2]:
            raise DataError(path, f"is not a mask of {shape[1]}x{shape[0]} pixels")
        return np.asarray(mask > 0)

    def _alone(self, name: str, image: NDArray[np.uint8], camera: Camera, number: int, label: PersonLabel) -> Sample:
        """A person cut out on white, in a square around the mask."""
        title = f"{name}#{number}"
        mask = self._mask(name, number, image.shape[:2])
        if mask is None:
            raise DataError(title, "has no mask")
        if mask.sum() < _MEANINGFUL_MASK:
            raise DataError(title, "has an empty mask")
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        half = _MARGIN * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) / 2
        x, y = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
        x0, y0 = round(x - half), round(y - half)
        window = (x0, y0, x0 + round(2 * half), y0 + round(2 * half))
        white = np.where(mask[..., None], image, np.uint8(255))
        cut = _padded(white, window, 255)
        cut_mask = _padded(mask.astype(np.uint8), window, 0)
        moved = replace(_seen_in(label, mask), joints_2d=label.joints_2d - np.array(window[:2], np.float32))
        return Sample(title, "agora", self.split, cut, camera.cropped(window), (moved,), cut_mask)


def mask_path(folder: Path, image: str, number: int, small: bool) -> Path:
    """The path of the mask of the image's person ``number``, counted from 0.

    It is FOLDER / first five words of the name / BASE_mask[_camNN]_FRAME_PERSON[_1280x720].png; PERSON counts from 1.
    """
    words = Path(image).stem.removesuffix("_1280x720").split("_")
    frame = words[-1]
    cameras = [word for word in words if word.startswith("cam") and word[3:].isdigit()]
    base = "_".join(word for word in words[:-1] if word not in cameras)
    middle = f"_{cameras[0]}" if cameras else ""
    name = f"{base}_mask{middle}_{int(frame):06d}_{number + 1:05d}{'_1280x720' if small else ''}.png"
    return folder / "_".join(words[:5]) / name


def split_of(scan: str) -> str:
    """The split of a scan: one in `HELD_OUT_EVERY` is held out, chosen by a hash of its name."""
    digest = hashlib.sha256(scan.encode()).digest()
    return "held_out" if int.from_bytes(digest[:4], "big") % HELD_OUT_EVERY == 0 else "train"


def posed_joints(body: BodyModel, rest: Floats, fit: AgoraFit) -> NDArray[np.float64]:
    """Joints (24, 3) of a fit in SMPL's frame, metres, from rest joints (24, 3), by forward kinematics in float64."""
    parents = body.data.parents
    turns = Rotation.from_rotvec(
        np.concatenate([fit.global_orient[None], fit.body_pose]).astype(np.float64)
    ).as_matrix()
    world, joints = [turns[0]], [rest[0]]
    for joint in range(1, 24):
        parent = int(parents[joint])
        joints.append(joints[parent] + world[parent] @ (rest[joint] - rest[parent]))
        world.append(world[parent] @ turns[joint])
    return np.array(joints) + fit.transl


def _scaled(label: PersonLabel, scale: float, camera: Camera) -> PersonLabel:
    pixels = label.joints_2d * np.float32(scale)
    return replace(label, joints_2d=pixels)


def _seen_in(label: PersonLabel, mask: NDArray[np.bool_]) -> PersonLabel:
    """The label, with joints visible only near their own person's mask; ``mask`` (H, W) is of the whole picture."""
    height, width = mask.shape
    size = np.ptp(np.flatnonzero(mask.any(1))) + 1 if mask.any() else 1
    reach = max(3, round(0.03 * size))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    cell = np.clip(label.joints_2d, 0, [width - 1, height - 1]).astype(int)
    return replace(label, visible=label.visible & near[cell[:, 1], cell[:, 0]])


def _padded(image: NDArray[np.uint8], window: tuple[int, int, int, int], value: int) -> NDArray[np.uint8]:
    """A window of a picture that may extend beyond it; pixels outside get ``value``."""
    x0, y0, x1, y1 = window
    height, width = image.shape[:2]
    out = np.full((y1 - y0, x1 - x0, *image.shape[2:]), value, np.uint8)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    out[top - y0 : bottom - y0, left - x0 : right - x0] = image[top:bottom, left:right]
    return out

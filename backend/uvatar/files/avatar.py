"""An avatar for use in scripts: arrays in metres, and files on request."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvatar.files.export import Exporter, PersonFiles, blender_command
from uvatar.gltf.presets import chosen_presets
from uvatar.protocol.even_light import evenly_lit
from uvatar.protocol.expressions import EXPRESSIONS, movement
from uvatar.protocol.parts import Part, parts_of
from uvatar.protocol.people import people_of, with_rig

Pose = Literal["rest", "photo"]


@dataclass(frozen=True, eq=False)
class Avatar:
    """One person of one photo, as a rigged and textured body.

    Lengths are in metres. There are two frames: "rest" is the T pose in SMPL's axes (x to the person's left, y up,
    z forward); "photo" is the pose and position in the photo, in the camera frame (x right, y down, z forward, with the
    camera at the origin).

    Attributes:
        result: the photo's whole result (docs/result-schema.md).
        number: the person's number in the result; 0 is the most prominent person.
    """

    result: Mapping[str, Any]
    number: int = 0

    def __repr__(self) -> str:
        return f"Avatar({self.photo_name!r}, number={self.number}, confidence={self.confidence:.2f})"

    @cached_property
    def person(self) -> dict[str, Any]:
        """This person's entry of the result, with the arrays of the body."""
        return people_of(self.result)[self.number]

    @property
    def photo_name(self) -> str:
        """The name of the photo that the pose is from."""
        return str(self.result["photo"]["name"])

    @property
    def confidence(self) -> float:
        """How likely this is a person and the avatar resembles them, 0..1 (docs/confidence.md)."""
        return float(self.person["confidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about this avatar and about the photo as a whole, in sentences."""
        return (*self.person.get("notes", ()), *self.result.get("notes", ()))

    @property
    def measurements(self) -> dict[str, float]:
        """Measurements of the body without clothes in centimetres: stature, chest, waist, hip and others."""
        return dict(self.person["measurements"])

    @property
    def betas(self) -> NDArray[np.float32]:
        """(10,) shape coefficients."""
        return np.asarray(self.person["betas"], np.float32)

    @property
    def pose(self) -> NDArray[np.float32]:
        """(24, 3) axis-angle, radians; joint 0 is the orientation in the camera frame, others relative to parents."""
        return np.asarray(self.person["pose"], np.float32)

    @property
    def hand_pose(self) -> NDArray[np.float32]:
        """(30, 3) axis-angle of the fingers' joints, radians, left hand first; zeros on a body without fingers."""
        return np.asarray(self.person.get("hand_pose", np.zeros((30, 3))), np.float32)

    @property
    def expression(self) -> dict[str, float]:
        """The weight of each expression key in the photo; empty on a body without them."""
        weights = self.person.get("expression")
        return {} if weights is None else dict(zip(EXPRESSIONS, map(float, weights), strict=True))

    @property
    def transl(self) -> NDArray[np.float32]:
        """(3,) translation of the posed body, metres, camera frame."""
        return np.asarray(self.person["transl"], np.float32)

    @property
    def faces(self) -> NDArray[np.int32]:
        """(F, 4) corners of the quads, or (F, 3) corners of triangles if the body has no quads."""
        quads = self.person["quads"]
        return np.asarray(self.person["triangles"] if quads is None else quads, np.int32)

    @property
    def face_uv(self) -> NDArray[np.int32]:
        """Like `faces`, as indices into `uv`."""
        quads = self.person["quads"]
        return np.asarray(self.person["triangle_uv"] if quads is None else self.person["quad_uv"], np.int32)

    @property
    def uv(self) -> NDArray[np.float32]:
        """(T, 2) texture coordinates, origin bottom-left, v up."""
        return np.asarray(self.person["uv"], np.float32)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The names of the 24 joints."""
        return tuple(self.person["joint_names"])

    @cached_property
    def texture(self) -> NDArray[np.uint8] | None:
        """(N, N, 3) sRGB, row 0 at v = 1; None for a body without a UV layout."""
        return _picture(self.person["texture_png"], "RGB")

    @cached_property
    def texture_source(self) -> NDArray[np.uint8] | None:
        """(N, N) origin of each texel (`uvatar.data.labels.Label`); None for a body without a UV layout."""
        return _picture(self.person["source_png"], "L")

    @cached_property
    def texture_materials(self) -> NDArray[np.uint8] | None:
        """(N, N) material of each texel: 0 outside the body, else 1 + the index into `material_names`; None where the
        materials were not told apart.
        """
        return _picture(self.person.get("materials_png", b""), "L")

    @cached_property
    def texture_even(self) -> NDArray[np.uint8] | None:
        """(N, N, 3) `texture` without the photo's light and shade, for scenes with a light of their own; None where the
        result does not have that light.
        """
        light = _picture(self.person.get("light_png", b""), "L")
        return None if light is None or self.texture is None else evenly_lit(self.texture, light)

    @cached_property
    def texture_normals(self) -> NDArray[np.uint8] | None:
        """(M, M, 3) normal map of the folds in tangent space, x along u, y along v; None without."""
        return _picture(self.person.get("normals_png", b""), "RGB")

    @property
    def material_names(self) -> tuple[str, ...]:
        """The names of the materials: skin, hair, upper, lower ..."""
        return tuple(self.person.get("material_names", ()))

    @property
    def joints(self) -> NDArray[np.float32]:
        """(24, 3) joints in the photo's pose, metres, camera frame."""
        return self.joints_in("photo")

    def joints_in(self, pose: Pose = "rest") -> NDArray[np.float32]:
        """(24, 3) joints, metres: in the T pose and the body frame ("rest"), or the photo's pose and camera frame."""
        _check(pose)
        rest = self._rest_joints()
        if pose == "rest":
            return rest.astype(np.float32)
        _, placed = _chain(self.pose.astype(float), rest, self.person["parents"])
        return (placed + self.transl).astype(np.float32)

    def vertices(self, pose: Pose = "rest") -> NDArray[np.float32]:
        """(V, 3) vertices with clothes and hair, metres.

        With "rest" they are in the T pose and the body frame; with "photo", in the photo's pose and the camera frame.
        """
        _check(pose)
        person = self.person
        rest = person["template"].astype(float) + person["shapedirs"] @ self.betas.astype(float) + person["offsets"]
        if pose == "rest":
            vertices: NDArray[np.float32] = rest.astype(np.float32)
            return vertices
        if person.get("face") is not None:
            face = person["face"]
            rest = rest + movement(person["expression"], face["starts"], face["vertices"], face["deltas"], len(rest))
        if person["posedirs"] is not None:
            rotations = _rotations(self.pose.astype(float))
            rest = rest + person["posedirs"].astype(float) @ (rotations[1:] - np.eye(3)).reshape(-1)
        person = with_rig(person)
        return self._skinned(rest, person["skin_joints"], person["skin_weights"])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Further meshes on the avatar's skeleton, such as teeth (`uvatar.protocol.parts.Part`); at rest.

        Raises ValueError if the result's parts are damaged.
        """
        skeleton = with_rig(self.person)
        return parts_of(self.person, len(skeleton["parents"]), len(self.betas))

    def part_vertices(self, part: Part, pose: Pose = "rest") -> NDArray[np.float32]:
        """(V, 3) vertices of one of `parts`, metres, where `vertices` has the body."""
        _check(pose)
        if pose == "rest":
            return part.vertices
        return self._skinned(part.vertices + part.moved(self.expression), part.skin_joints, part.skin_weights)

    def _skinned(
        self, rest: NDArray[np.floating[Any]], joints: NDArray[np.integer[Any]], weights: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32]:
        """Vertices (V, 3) at rest in the photo's pose, camera frame; ``joints`` and ``weights`` (V, 4)."""
        person = with_rig(self.person)
        heads = person["joint_template"] + person["joint_shapedirs"] @ self.betas.astype(float)
        world, placed = _chain(person["pose"].astype(float), heads, person["parents"])
        shift = placed - np.einsum("jab,jb->ja", world, heads)
        turned = np.einsum("vkab,vb->vka", world[joints], rest.astype(float)) + shift[joints]
        mixed = np.einsum("vk,vka->va", weights.astype(float), turned)
        skinned: NDArray[np.float32] = (mixed + self.transl).astype(np.float32)
        return skinned

    def save(
        self,
        folder: Path | str,
        blender: bool = True,
        glb: Sequence[str] = ("gltf",),
        page: bool = True,
        lods: bool = False,
        webp: bool = False,
        clips: bool = False,
        even_light: bool = True,
    ) -> PersonFiles:
        """Write the avatar's files into a folder of its own below ``folder``, as the command line does.

        Texture, overlay and result.json are always written (docs/result-schema.md); avatar.blend if Blender or bpy is
        found.

        Args:
            folder: where the avatar's folder is made.
            blender: False leaves out avatar.blend, which takes some seconds.
            glb: the .glb files to write, by the names of `uvatar.gltf.presets.PRESETS`.
            page: False leaves out avatar.html, which shows the avatar in a browser.
            lods: True writes each of ``glb`` at lower levels of detail as well.
            webp: True writes the textures of ``glb``, but for VRM, as WebP.
            clips: True adds animations to ``glb``, but for VRM: Walk, Idle and Talk.
            even_light: False writes the colours of ``glb`` as photographed, with the photo's light and shade.

        Returns:
            what was written; ``problem`` says why avatar.blend is missing.

        Raises:
            KeyError: there is no preset of a name.
            OSError: a file cannot be written.
        """
        command = blender_command() if blender else None
        exporter = Exporter(Path(folder), command, chosen_presets(glb, webp, clips, even_light), page, lods)
        (written,) = exporter.write(self.result, only=self.number)
        return written

    def _rest_joints(self) -> NDArray[np.float64]:
        """(24, 3) joints of the shaped body at rest."""
        joints = self.person["joint_template"] + self.person["joint_shapedirs"] @ self.betas.astype(float)
        return np.asarray(joints, np.float64)


def avatars_of(result: Mapping[str, Any]) -> list[Avatar]:
    """The avatars of a photo's result, the most prominent person first."""
    return [Avatar(result, number) for number in range(len(result["people"]))]


def _check(pose: str) -> None:
    if pose not in ("rest", "photo"):
        raise ValueError(f'The pose must be "rest" or "photo", not {pose!r}.')


def _picture(data: bytes, mode: str) -> NDArray[np.uint8] | None:
    if not data:
        return None
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert(mode), np.uint8)


def _rotations(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) axis-angle, radians -> (N, 3, 3) rotations (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[..., 0], 1e-12)).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    rotations: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return rotations


def _chain(
    pose: NDArray[np.float64], heads: NDArray[np.float64], parents: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations (J, 3, 3) and positions (J, 3) of the posed joints, from the rest joints ``heads`` (J, 3)."""
    local = _rotations(pose)
    world, placed = local.copy(), heads.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            world[joint] = world[parent] @ local[joint]
            placed[joint] = placed[parent] + world[parent] @ (heads[joint] - heads[parent])
    return world, placed

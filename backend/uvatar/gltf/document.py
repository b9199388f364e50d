"""A glTF document under construction: its objects, and the binary data that they refer to.

Khronos Group, glTF 2.0 specification, 2021. Objects are those of `pygltflib`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray
from PIL import Image

from uvatar.data.arrays import Floats
from uvatar.gltf.binary_file import to_glb
from uvatar.gltf.surface import Movement, Skeleton, Surface
from uvatar.gltf.tangents import tangents
from uvatar.protocol.colour import linear_channel
from uvatar.protocol.parts import MASK, OPAQUE, Part
from uvatar.protocol.surface_kinds import USUAL_ROUGHNESS
from uvatar.protocol.version import __version__

_COMPONENTS = {"float32": gltf.FLOAT, "uint8": gltf.UNSIGNED_BYTE, "uint16": gltf.UNSIGNED_SHORT,
               "uint32": gltf.UNSIGNED_INT}  # fmt: skip
_TYPES = {1: gltf.SCALAR, 2: gltf.VEC2, 3: gltf.VEC3, 4: gltf.VEC4, 16: gltf.MAT4}
_ALIGNMENT = 4  # bytes
SPECULAR = 0.6  # as the extension's material: a weak highlight, because the photo's are in the texture
SPECULAR_EXTENSION = "KHR_materials_specular"
WEBP_EXTENSION = "EXT_texture_webp"
WEBP_QUALITY = 90  # 0 to 100: no difference was seen from near
WEBP_EFFORT = 50  # 0 to 100, of lossless pictures: 90 takes half as long again and saves 1 %
PNG_LEVEL = 4  # of zlib, for smaller textures: half the time of the usual 6, files are 2 % larger
ALPHA_CUTOFF = 0.5
_PNG = b"\x89PNG"


@dataclass(frozen=True)
class Look:
    """A material.

    Attributes:
        texture: PNG or JPEG, sRGB; empty for one colour.
        colour: sRGB, 0 to 1, where there is no texture.
        roughness: 0 (polished) to 1.
        alpha: what the texture's alpha channel does (`uvatar.protocol.parts.ALPHA_MODES`).
        two_sided: whether the surface is seen from behind as well.
        roughness_texture: PNG with roughness in green and metal in blue, in place of ``roughness``; empty without.
        normal_texture: PNG, normals in tangent space; empty without.
    """

    texture: bytes
    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    roughness: float = USUAL_ROUGHNESS
    alpha: str = OPAQUE
    two_sided: bool = False
    roughness_texture: bytes = b""
    normal_texture: bytes = b""

    @staticmethod
    def of_part(part: Part) -> Look:
        """The material of a part that does not wear the body's."""
        return Look(part.texture, part.colour, part.roughness, part.alpha, part.two_sided)

    def with_texture_of(self, side: int) -> Look:
        """The material with textures of at most ``side`` pixels."""
        return replace(self, texture=_reduced(self.texture, side), normal_texture=_reduced(self.normal_texture, side))


class Document:
    """A document with one scene. Methods that add something return its index."""

    def __init__(self, copyright_notice: str | None = None, webp: bool = False) -> None:
        self._webp = webp
        self.content = gltf.GLTF2(
            asset=gltf.Asset(generator=f"Uvatar {__version__}", copyright=copyright_notice),
            scene=0,
            scenes=[gltf.Scene(nodes=[])],
        )
        self._data = bytearray()

    def to_bytes(self) -> bytes:
        """The document as a binary file (.glb)."""
        return to_glb(self.content, self._data)

    def add_skeleton(self, name: str, skeleton: Skeleton, names: tuple[str, ...]) -> tuple[int, list[int]]:
        """Add a node for each joint, without rotation or scale, below one node on the ground.

        Returns:
            The skin, and the joints' nodes.
        """
        first = len(self.content.nodes) + 1
        top = gltf.Node(name=name, children=[])
        nodes = []
        for joint, (joint_name, head, parent) in enumerate(zip(names, skeleton.heads, skeleton.parents, strict=True)):
            from_parent = head - (skeleton.heads[parent] if parent >= 0 else 0)
            nodes.append(gltf.Node(name=joint_name, translation=[float(v) for v in from_parent], children=[]))
            (nodes[parent] if parent >= 0 else top).children.append(first + joint)
        self.content.scenes[0].nodes.append(first - 1)
        self.content.nodes += [top, *nodes]
        binding = np.tile(np.eye(4, dtype=np.float32), (len(names), 1, 1))
        binding[:, 3, :3] = -skeleton.heads  # column-major
        joints = list(range(first, first + len(nodes)))
        skin = gltf.Skin(name=name, inverseBindMatrices=self._array(binding.reshape(-1, 16)), joints=joints)
        self.content.skins.append(skin)
        return len(self.content.skins) - 1, joints

    def add_material(self, name: str, look: Look) -> int:
        """Add a material."""
        surface = gltf.PbrMetallicRoughness(metallicFactor=0.0, roughnessFactor=look.roughness)
        if look.texture:
            surface.baseColorTexture = self._texture(name, look.texture)
        else:
            surface.baseColorFactor = [*(linear_channel(channel) for channel in look.colour), 1.0]
        if look.roughness_texture:
            surface.metallicRoughnessTexture = self._texture(f"{name} roughness", look.roughness_texture, exact=True)
            surface.metallicFactor = surface.roughnessFactor = 1.0  # the texture is times these
        bumps = None
        if look.normal_texture:
            index = self._texture(f"{name} normals", look.normal_texture, exact=True).index
            bumps = gltf.NormalMaterialTexture(index=index)
        self.use_extension(SPECULAR_EXTENSION)
        self.content.materials.append(
            gltf.Material(
                name=name,
                pbrMetallicRoughness=surface,
                normalTexture=bumps,
                extensions={SPECULAR_EXTENSION: {"specularFactor": SPECULAR}},
                alphaMode=look.alpha.upper(),
                alphaCutoff=ALPHA_CUTOFF if look.alpha == MASK else None,
                doubleSided=look.two_sided,
            )
        )
        return len(self.content.materials) - 1

    def add_surface(self, name: str, surface: Surface, skin: int, material: int) -> int:
        """Add a skinned mesh with its morph targets, and tangents if its material has a normal map.

        Returns:
            Its node, which is at the scene's root: parents do not move a skinned mesh.
        """
        bumps = surface.uv is not None and self.content.materials[material].normalTexture is not None
        attributes = gltf.Attributes(
            POSITION=self._array(surface.positions, gltf.ARRAY_BUFFER, bounds=True),
            NORMAL=self._array(surface.normals, gltf.ARRAY_BUFFER),
            TANGENT=self._array(tangents(surface), gltf.ARRAY_BUFFER) if bumps else None,
            TEXCOORD_0=None if surface.uv is None else self._array(surface.uv, gltf.ARRAY_BUFFER),
            JOINTS_0=self._array(surface.joints, gltf.ARRAY_BUFFER),
            WEIGHTS_0=self._array(surface.weights, gltf.ARRAY_BUFFER),
        )
        count = len(surface.positions)
        corners = surface.triangles.reshape(-1, 1)
        primitive = gltf.Primitive(
            attributes=attributes,
            indices=self._array(corners.astype(_index_type(count)), gltf.ELEMENT_ARRAY_BUFFER),
            material=material,
            targets=[
                gltf.Attributes(POSITION=self._movement(movement, count)) for movement in surface.movements.values()
            ],
        )
        mesh = gltf.Mesh(name=name, primitives=[primitive])
        if surface.movements:
            mesh.extras = {"targetNames": list(surface.movements)}
            mesh.weights = [0.0] * len(surface.movements)
        self.content.meshes.append(mesh)
        self.content.nodes.append(gltf.Node(name=name, mesh=len(self.content.meshes) - 1, skin=skin))
        node = len(self.content.nodes) - 1
        self.content.scenes[0].nodes.append(node)
        return node

    def add_values(self, values: Floats, bounds: bool = False) -> int:
        """Add an accessor of rows (N, C), as animations have them; ``bounds``: say the smallest and the largest."""
        return self._array(np.asarray(values, np.float32), bounds=bounds)

    def use_extension(self, name: str, required: bool = False) -> None:
        """List an extension among those that the document uses, or that are required to read it."""
        if name not in self.content.extensionsUsed:
            self.content.extensionsUsed.append(name)
        if required and name not in self.content.extensionsRequired:
            self.content.extensionsRequired.append(name)

    def _texture(self, name: str, picture: bytes, exact: bool = False) -> Any:
        """What a material says of a picture, PNG or JPEG; ``exact``: its channels are figures, not colours."""
        kind = "image/png" if picture.startswith(_PNG) else "image/jpeg"
        if self._webp:
            kind, picture = "image/webp", _as_webp(picture, exact)
        self.content.images.append(gltf.Image(name=name, mimeType=kind, bufferView=self._view(picture)))
        self.content.samplers.append(gltf.Sampler(magFilter=gltf.LINEAR, minFilter=gltf.LINEAR_MIPMAP_LINEAR))
        sampler, source = len(self.content.samplers) - 1, len(self.content.images) - 1
        if self._webp:
            self.use_extension(WEBP_EXTENSION, required=True)
            texture = gltf.Texture(sampler=sampler, extensions={WEBP_EXTENSION: {"source": source}})
        else:
            texture = gltf.Texture(sampler=sampler, source=source)
        self.content.textures.append(texture)
        return gltf.TextureInfo(index=len(self.content.textures) - 1)

    def _view(self, data: bytes, target: int | None = None) -> int:
        self._data += bytes(-len(self._data) % _ALIGNMENT)
        view = gltf.BufferView(buffer=0, byteOffset=len(self._data), byteLength=len(data), target=target)
        self._data += data
        self._data += bytes(-len(self._data) % _ALIGNMENT)
        self.content.bufferViews.append(view)
        return len(self.content.bufferViews) - 1

    def _array(self, values: NDArray[Any], target: int | None = None, bounds: bool = False) -> int:
        """An accessor of rows (N, C)."""
        view = self._view(np.ascontiguousarray(values).tobytes(), target)
        accessor = self._accessor(values.dtype, values.shape[1], len(values))
        accessor.bufferView = view
        if bounds:
            accessor.min, accessor.max = ([float(v) for v in edge] for edge in (values.min(0), values.max(0)))
        self.content.accessors.append(accessor)
        return len(self.content.accessors) - 1

    def _movement(self, movement: Movement, count: int) -> int:
        """An accessor (N, 3) of a morph target, which is zero but for the vertices that move."""
        vertices, deltas = movement.vertices, movement.deltas
        if len(vertices) == 0:  # a sparse accessor must list something
            vertices, deltas = np.zeros(1, np.int64), np.zeros((1, 3), np.float32)
        if len(vertices) == count:
            return self._array(deltas, gltf.ARRAY_BUFFER, bounds=True)
        index = _index_type(count)
        accessor = self._accessor(deltas.dtype, 3, count)
        accessor.sparse = gltf.Sparse(
            count=len(vertices),
            indices=gltf.AccessorSparseIndices(
                bufferView=self._view(vertices.astype(index).tobytes()), componentType=_COMPONENTS[np.dtype(index).name]
            ),
            values=gltf.AccessorSparseValues(bufferView=self._view(np.ascontiguousarray(deltas).tobytes())),
        )
        low, high = np.minimum(deltas.min(0), 0), np.maximum(deltas.max(0), 0)
        accessor.min, accessor.max = [float(v) for v in low], [float(v) for v in high]
        self.content.accessors.append(accessor)
        return len(self.content.accessors) - 1

    @staticmethod
    def _accessor(kind: np.dtype[Any], components: int, count: int) -> Any:
        return gltf.Accessor(
            componentType=_COMPONENTS[kind.name], type=_TYPES[components], count=count, byteOffset=None
        )


def _reduced(picture: bytes, side: int) -> bytes:
    """A PNG or JPEG at ``side`` pixels at most; empty stays empty."""
    if not picture:
        return picture
    with Image.open(io.BytesIO(picture)) as image:
        if max(image.size) <= side:
            return picture
        size = [max(1, round(length * side / max(image.size))) for length in image.size]
        # An image with alpha band by band: Pillow makes colours black where it is transparent, which filtering shows.
        bands = list(image.split()) if image.mode == "RGBA" else [image]
        bands = [band.resize(size, Image.Resampling.BOX) for band in bands]
        smaller = Image.merge("RGBA", bands) if len(bands) > 1 else bands[0]
        data = io.BytesIO()
        smaller.save(data, "PNG" if picture.startswith(_PNG) else "JPEG", quality=90, compress_level=PNG_LEVEL)
    return data.getvalue()


@lru_cache(maxsize=16)  # a person's pictures: the files of one person hold the same ones
def _as_webp(picture: bytes, exact: bool) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        data = io.BytesIO()
        # "exact" keeps colours under transparent texels, which filtering shows.
        image.save(data, "WEBP", quality=WEBP_EFFORT if exact else WEBP_QUALITY, lossless=exact, exact=True)
    return data.getvalue()


def _index_type(count: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if count < np.iinfo(np.uint16).max else np.uint32

"""Transfers a texture to another body's UV layout: each texel takes the colour of the matching surface point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.texture import Texture
from uvatar.geometry.mesh import face_normals, unit, vertex_normals
from uvatar.geometry.raster import RayScene
from uvatar.photos.colour import linear_from_srgb, srgb_from_linear
from uvatar.photos.sampling import bilinear
from uvatar.protocol.even_light import decoded_light
from uvatar.texturing.layout.atlas import texels_of
from uvatar.texturing.layout.texels import TexelTable
from uvatar.texturing.light.even_light import light_picture
from uvatar.transfer.closest import FACING, ClosestPoints
from uvatar.transfer.registration import Registration

_REACH = 0.02  # metres along the normal within which the other surface is looked for
_START = 1e-4  # metres that rays start behind the surface, so that they do not miss one that coincides with it
_AT_ONCE = 1 << 18
_KEPT = 2  # sizes of textures whose look-up is kept


def transfer_texture(texture: Texture, registration: Registration, size: int, texels: TexelTable) -> Texture:
    """Transfer a texture from the UV layout of the registration's source body to that of its target body.

    Colours are interpolated in linear light; each texel has the label and the material of what it shows. The look-up
    is made on the first call for a size and kept.

    Args:
        texture: of the source body.
        registration: of the two bodies.
        size: texels on a side of the result.
        texels: of the source body, at the size of ``texture``.

    Raises TexturingError if the target body has no UV layout.
    """
    table, places = _look_up(registration, size)
    places = places * np.float32(len(texture.source))
    colours = bilinear(linear_from_srgb(texture.image), places)
    column, row = np.clip(places.astype(np.int64), 0, len(texture.source) - 1).T
    labels = texels.picture(texture.source.ravel()[texels.pixel])[row, column]
    materials = None
    if texture.materials is not None:
        materials = table.scatter(texels.picture(texture.materials.ravel()[texels.pixel])[row, column])
    return Texture(
        table.picture(srgb_from_linear(colours)), table.scatter(labels),
        materials=materials, material_names=texture.material_names, light=_transferred_light(texture, table, places),
    )  # fmt: skip


def _transferred_light(texture: Texture, table: TexelTable, places: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """The light at the places (T, 2), pixels of the source texture, that the target's texels show."""
    if texture.light is None:
        return None
    log_light = np.log(decoded_light(texture.light))
    scaled = places * np.float32(len(texture.light) / len(texture.source))
    return light_picture(bilinear(log_light, scaled), table)


def _look_up(registration: Registration, size: int) -> tuple[TexelTable, NDArray[np.float32]]:
    """`_made_look_up`, kept in the registration for the most recent sizes."""
    kept = registration.look_ups
    if size not in kept:
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)), None)
        kept[size] = _made_look_up(registration, size)
    return kept[size]


def _made_look_up(registration: Registration, size: int) -> tuple[TexelTable, NDArray[np.float32]]:
    """The T texels of the target's texture, and the place (T, 2) of each in the source's: 0 to 1 from the left and from
    the top.
    """
    target, source = registration.target.data, registration.source.data
    table = texels_of(registration.target, size)
    normals = vertex_normals(registration.wrapped, target.faces)
    faces = np.flatnonzero(registration.outside)
    scene = RayScene(source.v_template, source.faces[faces])
    mesh = ClosestPoints(source.v_template, source.faces, registration.outside)
    facing = unit(face_normals(source.v_template, source.faces[faces]))
    corners = source.uv[source.face_uv]
    places = np.empty((len(table), 2), np.float32)
    for start in range(0, len(table), _AT_ONCE):
        texels = slice(start, start + _AT_ONCE)
        points = table.interpolate(registration.wrapped.astype(np.float32), target.faces, texels)
        outward = unit(table.interpolate(normals, target.faces, texels))
        face, weights = _along_normals(scene, facing, points, outward)
        lost = np.flatnonzero(face < 0)
        face = faces[face]
        if len(lost):
            anchors = mesh.closest(points[lost], outward[lost])
            face[lost], weights[lost] = anchors.face, anchors.barycentric
        uv = np.einsum("tk,tkc->tc", weights, corners[face])
        places[texels] = np.stack([uv[:, 0], 1 - uv[:, 1]], 1)
    return table, places


def _along_normals(
    scene: RayScene, facing: Floats, points: Floats, normals: Floats
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Triangles (N,) nearest along the normals, forwards or backwards, that face the same way, -1 for none; and
    barycentric weights (N, 3).

    ``facing`` (F, 3): unit normals of the scene's triangles; ``points``, ``normals`` (N, 3): metres, unit vectors.
    """
    found, weights = np.full(len(points), -1, np.int32), np.zeros((len(points), 3), np.float32)
    nearest = np.full(len(points), _REACH, np.float32)
    for way in (normals, -normals):
        face, barycentric, distance = scene.first_hits(points - np.float32(_START) * way, way)
        alike = np.einsum("nc,nc->n", facing[face], normals) > FACING
        better = (face >= 0) & alike & (np.abs(distance - _START) < nearest)
        found[better], weights[better], nearest[better] = (
            face[better],
            barycentric[better],
            np.abs(distance[better] - _START),
        )
    return found, weights

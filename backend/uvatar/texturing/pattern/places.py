"""Where in the photo's picture a place on the body takes its structure from.

A place that faces the photo or its back takes it from the pixel it projects to, straight through the body. At the
sides the photo is stretched: there the picture goes on outside the outline as if the cloth were unrolled, so that a
stripe keeps its width and runs along the side instead of meeting its own mirror image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.texturing.completion.lowband import solved
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Surface
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.seen.projection import ProjectedView


def places(
    view: ProjectedView, texels: NDArray[np.int64], camera: Camera, atlas: Atlas, settings: PatternSettings
) -> NDArray[np.float32]:
    """The pixels (M, 2) of the picture of ``camera`` that texels (M,) take their structure from."""
    surface, vertices = atlas.surface, view.visibility.vertices
    normals = view.visibility.normals
    sight = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    outwards = normals - (normals * sight).sum(1, keepdims=True) * sight
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    # Folds of the fitted surface would make straight stripes wavy.
    degree = np.asarray(surface.graph.sum(1)).ravel()[:, None] + 1
    smooth = np.column_stack([outwards, normals])
    for _ in range(settings.mapping_rounds):
        smooth = (smooth + surface.graph @ smooth) / degree
    outwards, normals = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6) for part in (
        smooth[:, :3], smooth[:, 3:]
    ))  # fmt: skip
    facing = np.abs((normals * sight).sum(1))
    beyond = _unrolled(vertices, normals, outwards, facing, surface, settings)
    at = atlas.interpolate((vertices + outwards * beyond[:, None]).astype(np.float32), texels)
    return camera.project(at).astype(np.float32)


def _unrolled(
    vertices: Floats, normals: Floats, outwards: Floats, facing: Floats, surface: Surface, settings: PatternSettings
) -> NDArray[np.float64]:
    """How far (V,), metres, the surface reaches on outwards of its outline when it is unrolled.

    It is the length along the surface less the length that shows of it, added up from where the picture is trusted: a
    Poisson equation over the mesh, so that it is smooth where the body's form is not.
    """
    trusted = facing >= settings.cosine
    along = outwards - (outwards * normals).sum(1, keepdims=True) * normals
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    slope = along * (1 - facing)[:, None]
    edges = surface.graph.tocoo()
    step = 0.5 * ((slope[edges.row] + slope[edges.col]) * (vertices[edges.row] - vertices[edges.col])).sum(1)
    right = np.bincount(edges.row, step, len(vertices)).astype(np.float64)
    degree = np.asarray(surface.graph.sum(1)).ravel()
    pull = np.where(trusted, 1e3, 1e-6) * degree
    found = solved(sparse.diags(degree + pull) - surface.graph, right[:, None])[:, 0].astype(np.float64)
    return np.clip(found, 0, settings.furthest)

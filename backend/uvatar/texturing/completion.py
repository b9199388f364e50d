"""Completes parts of the texture that no photo shows: mirrored, or interpolated over the mesh from seen parts.

The texture is split in two bands.  The low band is one colour per vertex, solved for over the mesh (so it knows no UV
seams): it meets the seen colours, and elsewhere leans on the mirrored side, on the colour of the same slice of the limb
or garment, on hair and skin.  The high band is what the photo shows beyond the low band.  Mirrored texels bring their
own high band along and completed ones borrow one, so that nothing steps where one source hands over to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats
from uvatar.data.labels import Label
from uvatar.photos.colour import colour_distance, perceptual, smoothstep
from uvatar.photos.sampling import bilinear
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.lowband import Anchor, diffuse, vertex_colours
from uvatar.texturing.surface import HEAD, LEFT_HAND, PARTS, RIGHT_HAND, TRUNK, Surface

# Pulls of a vertex towards a colour, relative to the pull of its neighbours on the mesh.
SEEN_PULL, _MIRRORED_PULL, _RING_PULL, _HAIR_PULL, _SKIN_PULL = 10.0, 1.0, 0.4, 0.15, 0.15
# Vertices count as seen when this share of their texels is.
_SEEN_SHARE = 0.3
_HAIR_SHADES = (0.15, 0.5)
# The top of the head is only ever seen at a grazing angle.
_GRAZED_SHARE = 0.02
# Sides look alike below these median differences of luma and chroma (`perceptual` units); light from one side changes
# luma more.
_LUMA_ALIKE, _CHROMA_ALIKE = 0.13, 0.05
# Fine structure is borrowed fully below the first of these colour distances and not at all above the second.
_LENDS = (0.06, 0.16)
# Heads are symmetric whatever the light.
_HEAD_TOLERANCE = 2.0
# Colours do not spread between slices this different.
_BORDER = (0.12, 0.3)
# Nothing is mirrored across this much of the trunk's middle, metres: logos, ties, buttons.
_TRUNK_MIDDLE = (0.03, 0.07)


@dataclass(frozen=True)
class SeenColours:
    """The colours that the photos show, at all T texels.

    Attributes:
        colours: (T, 3) float32 linear light; anything where alpha is 0.
        alpha: (T,) float32 0..1, the share of the photo in the final texel.
        certain: (T,) float32 0..1, how far the texel may speak for what is not seen; at most alpha.
        detail: (T,) float32 relative brightness, about 0, of fine structure for completed texels.
        detail_colour: (V, 3) float32 linear light around the place that each vertex' fine structure comes from.
        skin: (3,) linear light of the person's skin.
    """

    colours: NDArray[np.float32]
    alpha: NDArray[np.float32]
    certain: NDArray[np.float32]
    detail: NDArray[np.float32]
    detail_colour: NDArray[np.float32]
    skin: NDArray[np.float32]

    def at_vertices(self, atlas: Atlas) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Colours (V, 3) around the vertices, and the share (V,) 0..1 of their texels that may speak for what is not
        seen.
        """
        known = np.flatnonzero(self.certain > 0).astype(np.int32)
        return vertex_colours(self.colours[known], self.certain[known], known, atlas)


def complete(seen: SeenColours, atlas: Atlas) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill every texel that no photo shows.

    Returns:
        colours (T, 3) float32 linear light, and labels (T,) uint8 SEEN, MIRRORED or COMPLETED.
    """
    colour, share = seen.at_vertices(atlas)
    mirrorable = _mirrorable(colour, share, atlas.surface)
    photo, mirrored = (colour, SEEN_PULL * share), _mirrored(colour, share, mirrorable, atlas.surface)
    rings = _ring_anchor(colour, share, atlas.surface)
    priors = _priors(colour, share, seen.skin, atlas.surface)
    cut = _cut_at_borders(rings, atlas.surface)
    low = diffuse(atlas.surface, [photo, mirrored, rings, *priors], cut)
    low_band = atlas.interpolate(low)
    fill = low_band * _fine_structure(seen, low, atlas)[:, None]
    mirrored_share = _mirror_in(fill, low_band, seen, mirrorable, atlas)
    labels = np.where(mirrored_share > 0.5, Label.MIRRORED, Label.COMPLETED)
    fill += (seen.colours - fill) * seen.alpha[:, None]
    return fill, np.where(seen.alpha >= 0.5, Label.SEEN, labels).astype(np.uint8)


def _mirrorable(colour: Floats, share: Floats, surface: Surface) -> NDArray[np.float32]:
    """(V,) 0..1: whether a vertex may take the colour of its mirror image.

    A pair of parts (or the halves of the trunk and the head) whose seen overlap looks different is not mirrored.
    """
    both = (share > _SEEN_SHARE) & (share[surface.mirror] > _SEEN_SHARE) & (surface.mirror != np.arange(len(share)))
    difference = np.abs(perceptual(colour) - perceptual(colour[surface.mirror]))
    allowed = np.ones(len(share), np.float32)
    for part in range(PARTS):
        pair = (surface.part == part) & both
        if pair.sum() >= 20:
            luma, *chroma = np.median(difference[pair], axis=0)
            tolerance = _HEAD_TOLERANCE if part == HEAD else 1
            allowed[surface.part == part] = float(
                luma < tolerance * _LUMA_ALIKE and max(chroma) < tolerance * _CHROMA_ALIKE
            )
    near, far = _TRUNK_MIDDLE
    middle = np.clip((np.abs(surface.template[:, 0]) - near) / (far - near), 0, 1)
    allowed = np.where(surface.part == TRUNK, allowed * middle, allowed)
    return np.where(surface.eye == 0, allowed, 0).astype(np.float32)


def _mirrored(colour: Floats, share: Floats, mirrorable: Floats, surface: Surface) -> Anchor:
    pull = _MIRRORED_PULL * share[surface.mirror] * mirrorable * (1 - share)
    return colour[surface.mirror], pull


def _mirror_in(
    fill: NDArray[np.float32],
    low_band: NDArray[np.float32],
    seen: SeenColours,
    mirrorable: Floats,
    atlas: Atlas,
) -> NDArray[np.float32]:
    """Give ``fill`` (T, 3) the high band of the mirror image's texels where these are seen; how far (T,) it was
    replaced by that.
    """
    mirrored = np.zeros(len(atlas.table), np.float32)
    allowed = atlas.interpolate(mirrorable)
    texels = np.flatnonzero((allowed > 0) & (seen.alpha < 1))
    places = atlas.table.interpolate_corners(atlas.surface.mirror_uv, texels)
    places = np.column_stack([places[:, 0], 1 - places[:, 1]]) * np.float32(atlas.table.size)
    alpha = bilinear(atlas.table.picture(seen.alpha), places)
    found = np.flatnonzero(alpha > 0.01)
    texels, alpha = texels[found], alpha[found]
    high_band = bilinear(atlas.table.picture((seen.colours - low_band) * seen.alpha[:, None]), places[found])
    mirrored[texels] = alpha * allowed[texels]
    fill[texels] += (low_band[texels] + high_band / alpha[:, None] - fill[texels]) * mirrored[texels, None]
    return mirrored


def _ring_anchor(colour: Floats, share: Floats, surface: Surface) -> Anchor:
    """A weak anchor for what is not seen: the same slice's colour."""
    ring_colour, ring_known = (values[surface.ring] for values in _ring_colours(colour, share, surface))
    hidden = ring_known == 0  # a limb of which nothing is seen is dressed like the other one
    ring_colour[hidden], ring_known[hidden] = ring_colour[surface.mirror][hidden], ring_known[surface.mirror][hidden]
    return ring_colour, _RING_PULL * (1 - share) * ring_known


def _cut_at_borders(rings: Anchor, surface: Surface) -> sparse.csr_matrix:
    """(V, V) the mesh's graph, cut where slices differ and are relied upon: garments end sharply all round."""
    colour, pull = rings
    edges = surface.graph.tocoo()
    apart = colour_distance(colour[edges.row], colour[edges.col])
    relied = np.minimum(pull[edges.row], pull[edges.col]) / _RING_PULL
    kept = 1 - relied * smoothstep(apart, *_BORDER)
    return sparse.csr_matrix((kept, (edges.row, edges.col)), edges.shape)


def _priors(colour: Floats, share: Floats, skin: Floats, surface: Surface) -> list[Anchor]:
    """Weak anchors for what is not seen: hair on the scalp, skin on face and hands."""
    unseen, priors = 1 - share, []
    scalp_seen = np.flatnonzero(surface.scalp & (share > _GRAZED_SHARE))
    if len(scalp_seen) >= 10:
        # below the top of the ears there is skin, and on the crown there is light: the back of the head is in shade
        height = surface.template[:, 1]
        low, high = height[surface.scalp].min(), height[surface.scalp].max()
        upper = scalp_seen[height[scalp_seen] > low + 0.4 * (high - low)]
        strands = colour[upper if len(upper) >= 10 else scalp_seen]
        luma = perceptual(strands)[:, 0]
        shaded = (luma >= np.quantile(luma, _HAIR_SHADES[0])) & (luma <= np.quantile(luma, _HAIR_SHADES[1]))
        hair = np.median(strands[shaded], axis=0)
        priors.append((np.broadcast_to(hair, colour.shape), _HAIR_PULL * unseen * surface.scalp))
    bare = surface.face_front.copy()
    for hand in (LEFT_HAND, RIGHT_HAND):
        own = surface.part == hand
        bare |= own & (share[own].mean() < 0.1) & (share[surface.mirror[own]].mean() < 0.1)
    priors.append((np.broadcast_to(skin, colour.shape), _SKIN_PULL * unseen * bare))
    return priors


def _ring_colours(colour: Floats, share: Floats, surface: Surface) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Median seen colour (R, 3) of each slice of trunk and limbs, and whether (R,) there is one, 0 or 1.

    Vertices at the trunk's sides count more: its middle has ties and logos that the back has not.  Slices that are not
    seen take the colour of the nearest ones of their part.
    """
    rings = len(surface.ring_part)
    median, known = np.zeros((rings, 3), np.float32), np.zeros(rings, np.float32)
    weight = np.where(surface.part == TRUNK, 0.1 + np.abs(surface.template[:, 0]) / 0.15, 1.0) * share
    members = np.flatnonzero((share > _SEEN_SHARE) & (surface.part != HEAD))
    members = members[np.argsort(surface.ring[members], kind="stable")]
    for group in np.split(members, np.flatnonzero(np.diff(surface.ring[members])) + 1):
        if len(group) >= 4:
            ring = surface.ring[group[0]]
            median[ring], known[ring] = _weighted_median(colour[group], weight[group]), 1
    for part in range(PARTS):
        own = np.flatnonzero(surface.ring_part == part)
        filled = own[known[own] > 0]
        if len(filled):
            median[own] = np.stack([np.interp(own, filled, median[filled, k]) for k in range(3)], -1)
            known[own] = 1
    return median, known


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    order = np.argsort(values, axis=0)
    sums = np.cumsum(weights[order], axis=0)
    middle = (sums >= 0.5 * sums[-1]).argmax(0)
    median: Floats = np.take_along_axis(values, np.take_along_axis(order, middle[None], 0), 0)[0]
    return median


def _fine_structure(seen: SeenColours, low: NDArray[np.float32], atlas: Atlas) -> NDArray[np.float32]:
    """(T,) factors: borrowed detail where it comes from a place of about the colour that it goes to."""
    lends = 1 - smoothstep(colour_distance(low, seen.detail_colour), *_LENDS)
    return 1 + seen.detail * atlas.interpolate(np.where(atlas.surface.scalp, 1, lends).astype(np.float32))

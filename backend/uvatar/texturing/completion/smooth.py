"""Completion of what no photo shows: mirrored, or interpolated over the mesh from what is seen.

The texture is split in two bands.  The low band is one colour per vertex, solved for over the mesh (so it knows no UV
seams): it meets the seen colours, and elsewhere leans on the mirrored side, on the colour of the same slice of the limb
or garment, on hair and skin. The high band is what the photo shows beyond the low band. Mirrored texels bring their own
high band along and completed ones take one from elsewhere, so that nothing steps where one source hands over to the
next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats
from uvatar.data.labels import Label
from uvatar.photos.colour import blended, colour_distance, perceptual, smoothstep, weighted
from uvatar.photos.sampling import bilinear
from uvatar.photos.skin import skin_likeness
from uvatar.texturing.completion.hair_tone import HairToneSettings, telling
from uvatar.texturing.completion.lowband import Anchor, colours_at, diffuse, vertex_colours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part, Surface, unseen_hands


@dataclass(frozen=True)
class CompletionSettings:
    """Tuned numbers of completion. Where nothing is said of how a number was chosen, that is not recorded.

    Pulls are those of a vertex towards a colour, relative to the pull of all its neighbours on the mesh together.

    Attributes:
        seen_pull: towards what the photos show.
        mirrored_pull: towards the mirror image.
        slice_pull: towards the colour of the same slice of trunk or limb.
        hair_pull, skin_pull: towards the hair's colour on the scalp, the skin's on face and hands.
        seen_share: share of a vertex's texels from which it counts as seen.
        grazed_share: the same on the scalp: the top of the head is only ever seen at a grazing angle.
        hair_height: share of the scalp's height above which its colours tell the hair's: below the top of the ears
            there is skin.
        hair: of the hair's tone.
        least_hair: vertices of the scalp that must be seen to tell the hair's colour.
        luma_alike, chroma_alike: median differences (`perceptual` units) below which two sides look alike; light from
            one side changes luma more.
        head_tolerance: factor on both for the head: heads are symmetric whatever the light.
        least_pairs: of vertices, seen on both sides, that must be compared.
        trunk_middle: metres from the trunk's middle up to which nothing is mirrored, and from which it fully is: logos,
            ties and buttons lie there.
        similar_colours: colour distances up to which detail is taken over fully, and from which it is not.
        border: colour distances of two slices from which colours spread less, and from which not at all, between them.
        least_members: seen vertices of a slice that tell its colour.
        middle_weight, trunk_width: a vertex of the trunk counts for its slice's colour as ``middle_weight`` plus its
            distance from the middle in units of ``trunk_width``, metres.
        least_neck, bare_neck: seen vertices of the neck, and their mean likeness to skin, from which it is bare.
        neck_pull: towards its colour.
        across_border: how much two neighbours share their colours of which one wears another garment, or none.
        hidden_hand: mean share seen of both hands below which they are taken for bare.
        hidden_face: mean share seen of the face up to which the rest of it leans on the skin's colour, and from which
            it does not: below the chin, between a lit face and a neck in its shade, that would be a pale band.
    """

    seen_pull: float = 10.0
    mirrored_pull: float = 1.0
    slice_pull: float = 0.4
    hair_pull: float = 0.15
    skin_pull: float = 0.15
    seen_share: float = 0.3
    grazed_share: float = 0.02
    hair_height: float = 0.4
    hair: HairToneSettings = field(default_factory=HairToneSettings)
    least_hair: int = 10
    luma_alike: float = 0.13
    chroma_alike: float = 0.05
    head_tolerance: float = 2.0
    least_pairs: int = 20
    trunk_middle: tuple[float, float] = (0.03, 0.07)
    similar_colours: tuple[float, float] = (0.06, 0.16)
    border: tuple[float, float] = (0.12, 0.3)
    least_members: int = 4
    middle_weight: float = 0.1
    trunk_width: float = 0.15
    least_neck: int = 10
    bare_neck: float = 0.5
    neck_pull: float = 0.5
    across_border: float = 0.003
    hidden_hand: float = 0.1
    hidden_face: tuple[float, float] = (0.1, 0.3)


DEFAULT_SETTINGS = CompletionSettings()


@dataclass(frozen=True)
class SeenColours:
    """The colours that the photos show, at all T texels.

    Attributes:
        colours: (T, 3) float32 linear light; anything where alpha is 0.
        alpha: (T,) float32 0..1, the share of the photo in the final texel.
        certain: (T,) float32 0..1, how far the texel may speak for what is not seen; at most alpha.
        detail: (T,) float32 relative brightness, about 0, of fine structure for completed texels.
        detail_colour: (V, 3) float32 linear light around the place that each vertex's fine structure comes from.
        skin: (3,) linear light of the person's skin.
        atlas: of the body.
    """

    colours: NDArray[np.float32]
    alpha: NDArray[np.float32]
    certain: NDArray[np.float32]
    detail: NDArray[np.float32]
    detail_colour: NDArray[np.float32]
    skin: NDArray[np.float32]
    atlas: Atlas

    @cached_property
    def at_vertices(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Colours (V, 3) around the vertices, and the share (V,), 0..1, of their texels that speak for the unseen."""
        known = np.flatnonzero(self.certain > 0).astype(np.int32)
        return vertex_colours(self.colours[known], self.certain[known], known, self.atlas)


@dataclass(frozen=True)
class Garments:
    """What is worn where, 0 where it is skin or hair.

    Attributes:
        at_vertices: (V,).
        at_texels: (T,).
    """

    at_vertices: NDArray[np.int64]
    at_texels: NDArray[np.uint8]


@dataclass(frozen=True)
class SmoothFill:
    """What to lay under what the photos show.

    Attributes:
        colours: (T, 3) float32 linear light.
        labels: (T,) uint8 `Label.MIRRORED` or `Label.COMPLETED`.
        low: (T, 3) float32 linear light, the low band of ``colours``.
    """

    colours: NDArray[np.float32]
    labels: NDArray[np.uint8]
    low: NDArray[np.float32]


def complete(
    seen: SeenColours, settings: CompletionSettings = DEFAULT_SETTINGS
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill every texel that no photo shows, smoothly.

    Returns colours (T, 3) float32 linear light, and labels (T,) uint8 SEEN, MIRRORED or COMPLETED.
    """
    fill = smooth_fill(seen, settings)
    return shown_over(fill.colours, fill.labels, seen)


def shown_over(
    fill: NDArray[np.float32], labels: NDArray[np.uint8], seen: SeenColours
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The photos' colours over a fill (T, 3), and the labels (T,) with SEEN where they count at least half."""
    colours = blended(fill, seen.colours, seen.alpha)
    return colours, np.where(seen.alpha >= 0.5, Label.SEEN, labels).astype(np.uint8)


def smooth_fill(
    seen: SeenColours, settings: CompletionSettings = DEFAULT_SETTINGS, garments: Garments | None = None
) -> SmoothFill:
    """What to lay under what the photos show. Colours do not spread from one of the ``garments`` to another or to bare
    skin, where these are known.
    """
    atlas = seen.atlas
    colour, share = seen.at_vertices
    mirrorable = _mirrorable(colour, share, atlas.surface, settings)
    photo = colour, settings.seen_pull * share
    mirrored = _mirrored(colour, share, mirrorable, atlas.surface, settings)
    rings = _ring_anchor(colour, share, atlas.surface, settings)
    worn = np.zeros(len(share), np.int64) if garments is None else garments.at_vertices
    priors = _priors(colour, share, seen.skin, worn, atlas.surface, settings)
    cut = _cut_at_borders(rings, worn, atlas.surface, settings)
    low = diffuse(atlas.surface, [photo, mirrored, rings, *priors], cut)
    low_band = atlas.interpolate(low)
    if garments is not None:
        table = atlas.table
        mixed = np.flatnonzero((worn[atlas.surface.faces] != worn[atlas.surface.faces[:, :1]]).any(1)[table.face])
        low_band[mixed] = colours_at(
            low, worn, garments.at_texels[mixed], atlas.surface, table.face[mixed], table.barycentric[mixed]
        )
    fill = weighted(low_band, _fine_structure(seen, low, settings))
    mirrored_share = _mirror_in(fill, low_band, seen, mirrorable)
    labels = np.where(mirrored_share > 0.5, Label.MIRRORED, Label.COMPLETED)
    return SmoothFill(fill, labels.astype(np.uint8), low_band)


def _mirrorable(colour: Floats, share: Floats, surface: Surface, settings: CompletionSettings) -> NDArray[np.float32]:
    """Whether (V,), 0..1, a vertex may take the colour of its mirror image.

    A pair of parts (or the halves of the trunk and the head) whose seen overlap looks different is not mirrored.
    """
    seen = share > settings.seen_share
    both = seen & seen[surface.mirror] & (surface.mirror != np.arange(len(share)))
    difference = np.abs(perceptual(colour) - perceptual(colour[surface.mirror]))
    allowed = np.ones(len(share), np.float32)
    for part in Part:
        pair = (surface.part == part) & both
        if pair.sum() >= settings.least_pairs:
            luma, *chroma = np.median(difference[pair], axis=0)
            tolerance = settings.head_tolerance if part == Part.HEAD else 1
            allowed[surface.part == part] = float(
                luma < tolerance * settings.luma_alike and max(chroma) < tolerance * settings.chroma_alike
            )
    near, far = settings.trunk_middle
    middle = np.clip((np.abs(surface.template[:, 0]) - near) / (far - near), 0, 1)
    allowed = np.where(surface.part == Part.TRUNK, allowed * middle, allowed)
    return np.where(surface.eye == 0, allowed, 0).astype(np.float32)


def _mirrored(
    colour: Floats, share: Floats, mirrorable: Floats, surface: Surface, settings: CompletionSettings
) -> Anchor:
    """An anchor for what is not seen: the mirror image's colour."""
    pull = settings.mirrored_pull * share[surface.mirror] * mirrorable * (1 - share)
    return colour[surface.mirror], pull


def _mirror_in(
    fill: NDArray[np.float32],
    low_band: NDArray[np.float32],
    seen: SeenColours,
    mirrorable: Floats,
) -> NDArray[np.float32]:
    """Write the high band of the mirror image's texels into ``fill`` (T, 3) where these are seen.

    Returns how far (T,), 0..1, each texel was replaced by its mirror image.
    """
    atlas = seen.atlas
    mirrored = np.zeros(len(atlas.table), np.float32)
    allowed = atlas.interpolate(mirrorable)
    texels = np.flatnonzero((allowed > 0) & (seen.alpha < 1))
    places = mirrored_places(texels, atlas)
    alpha = bilinear(atlas.table.picture(seen.alpha), places)
    found = np.flatnonzero(alpha > 0.01)
    texels, alpha, places = texels[found], alpha[found], np.take(places, found, axis=0)
    high_band = bilinear(atlas.table.picture(weighted(seen.colours - low_band, seen.alpha)), places)
    mirrored[texels] = alpha * allowed[texels]
    whole = np.take(low_band, texels, axis=0) + weighted(high_band, 1 / alpha)
    blend = blended(np.take(fill, texels, axis=0), whole, mirrored[texels])
    for channel in range(3):
        fill[texels, channel] = blend[:, channel]
    return mirrored


def mirrored_places(texels: NDArray[np.int64], atlas: Atlas) -> NDArray[np.float32]:
    """The pixels (M, 2) of the texture at which the mirror images of texels (M,) lie."""
    places = atlas.table.interpolate_corners(atlas.surface.mirror_uv, texels)
    places[:, 1] = 1 - places[:, 1]
    places *= np.float32(atlas.table.size)
    return places


def _ring_anchor(colour: Floats, share: Floats, surface: Surface, settings: CompletionSettings) -> Anchor:
    """A weak anchor for what is not seen: the same slice's colour."""
    ring_colour, ring_known = (values[surface.ring] for values in _ring_colours(colour, share, surface, settings))
    hidden = ring_known == 0  # a limb of which nothing is seen is dressed like the other one
    ring_colour[hidden], ring_known[hidden] = ring_colour[surface.mirror][hidden], ring_known[surface.mirror][hidden]
    return ring_colour, settings.slice_pull * (1 - share) * ring_known


def _cut_at_borders(
    rings: Anchor, worn: NDArray[np.int64], surface: Surface, settings: CompletionSettings
) -> sparse.csr_matrix:
    """The mesh's graph (V, V), cut where slices differ and are relied upon, and where what is ``worn`` (V,) does:
    garments end sharply all round.
    """
    colour, pull = rings
    edges = surface.graph.tocoo()
    apart = colour_distance(colour[edges.row], colour[edges.col])
    relied = np.minimum(pull[edges.row], pull[edges.col]) / settings.slice_pull
    kept = 1 - relied * smoothstep(apart, *settings.border)
    kept = np.where(worn[edges.row] == worn[edges.col], kept, np.minimum(kept, settings.across_border))
    return sparse.csr_matrix((kept, (edges.row, edges.col)), edges.shape)


def _priors(
    colour: Floats,
    share: Floats,
    skin: Floats,
    worn: NDArray[np.int64],
    surface: Surface,
    settings: CompletionSettings,
) -> list[Anchor]:
    """Weak anchors for what is not seen: hair on the scalp, skin on face, hands and a bare neck; ``worn`` (V,): 0 where
    it is not known to be a garment.
    """
    unseen, priors = 1 - share, []
    scalp_seen = np.flatnonzero(surface.scalp & (share > settings.grazed_share))
    if len(scalp_seen) >= settings.least_hair:
        height = surface.template[:, 1]
        low, high = height[surface.scalp].min(), height[surface.scalp].max()
        upper = scalp_seen[height[scalp_seen] > low + settings.hair_height * (high - low)]
        strands = colour[upper if len(upper) >= settings.least_hair else scalp_seen]
        told = telling(perceptual(strands)[:, 0], float(perceptual(skin)[0]), settings.hair)
        hair = np.median(strands[told], axis=0)
        priors.append((np.broadcast_to(hair, colour.shape), settings.hair_pull * unseen * surface.scalp))
    face = surface.face_front
    bare = np.zeros(len(share), np.float32)
    if face.any():
        bare[face] = 1 - smoothstep(share[face].mean(), *settings.hidden_face)
    for hand in unseen_hands(share, surface, settings.hidden_hand):
        bare[hand] = 1
    priors.append((np.broadcast_to(skin, colour.shape), settings.skin_pull * unseen * bare))
    neck = (surface.part == Part.HEAD) & ~surface.scalp & ~surface.face_front & (worn == 0)
    seen = np.flatnonzero(neck & (share > settings.seen_share))
    like = skin_likeness(colour[seen], skin)
    # Below the hairline the nape is skin, unless a collar, a scarf or long hair lies around the neck.
    if len(seen) >= settings.least_neck and like.mean() > settings.bare_neck:
        tone = np.median(colour[seen[like > 0.5]], axis=0)
        priors.append((np.broadcast_to(tone, colour.shape), settings.neck_pull * unseen * neck))
    return priors


def _ring_colours(
    colour: Floats, share: Floats, surface: Surface, settings: CompletionSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Median seen colour (R, 3) of each slice of trunk and limbs, and whether (R,) there is one, 0 or 1.

    Vertices at the trunk's sides count more: its middle has ties and logos that the back has not.  Slices that are not
    seen take the colour of the nearest ones of their part.
    """
    rings = len(surface.ring_part)
    median, known = np.zeros((rings, 3), np.float32), np.zeros(rings, np.float32)
    from_middle = np.abs(surface.template[:, 0]) / settings.trunk_width
    weight = np.where(surface.part == Part.TRUNK, settings.middle_weight + from_middle, 1.0) * share
    members = np.flatnonzero((share > settings.seen_share) & (surface.part != Part.HEAD))
    members = members[np.argsort(surface.ring[members], kind="stable")]
    for group in np.split(members, np.flatnonzero(np.diff(surface.ring[members])) + 1):
        if len(group) >= settings.least_members:
            ring = surface.ring[group[0]]
            median[ring], known[ring] = _weighted_median(colour[group], weight[group]), 1
    for part in Part:
        own = np.flatnonzero(surface.ring_part == part)
        filled = own[known[own] > 0]
        if len(filled):
            median[own] = np.stack([np.interp(own, filled, median[filled, k]) for k in range(3)], -1)
            known[own] = 1
    return median, known


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Median of each column of ``values`` (K, C), its rows weighted by ``weights`` (K,)."""
    order = np.argsort(values, axis=0)
    sums = np.cumsum(weights[order], axis=0)
    middle = (sums >= 0.5 * sums[-1]).argmax(0)
    median: Floats = np.take_along_axis(values, np.take_along_axis(order, middle[None], 0), 0)[0]
    return median


def _fine_structure(seen: SeenColours, low: NDArray[np.float32], settings: CompletionSettings) -> NDArray[np.float32]:
    """Factors (T,) of brightness: detail, where it comes from a place of about the colour that it goes to."""
    share = 1 - smoothstep(colour_distance(low, seen.detail_colour), *settings.similar_colours)
    atlas = seen.atlas
    return 1 + seen.detail * atlas.interpolate(np.where(atlas.surface.scalp, 1, share).astype(np.float32))

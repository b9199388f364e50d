"""What no photo shows, filled by material: sharp borders, and the pattern of each garment carried round the body."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import Label
from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.photos.sampling import bilinear
from uvatar.texturing.completion.lowband import colours_at
from uvatar.texturing.completion.smooth import Garments, SeenColours, SmoothFill, mirrored_places
from uvatar.texturing.layout.surface import Part, Surface
from uvatar.texturing.light.shading import ShadingSettings, log_shading
from uvatar.texturing.materials.hair_edge import HairEdgeSettings, with_soft_hair_edge
from uvatar.texturing.materials.labels import HAIR, SKIN, UNSEEN
from uvatar.texturing.materials.material_map import MaterialMap, material_map, material_names
from uvatar.texturing.materials.off_material import OffMaterialSettings, without_off_material
from uvatar.texturing.materials.parsed import ParsedVertices
from uvatar.texturing.materials.propagation import PropagationSettings, labels_at, material_colours, propagate
from uvatar.texturing.materials.segmentation import Materials, segment
from uvatar.texturing.materials.settings import MaterialSettings
from uvatar.texturing.materials.stray import StraySettings, without_stray, without_stray_texels
from uvatar.texturing.materials.unseen_garments import UnseenGarmentSettings, with_even_hems, with_unseen_garments
from uvatar.texturing.pattern.settings import PatternSettings
from uvatar.texturing.pattern.structure import unseen_structure
from uvatar.texturing.pattern.structure_picture import Dressed
from uvatar.texturing.seen.ears import EARS
from uvatar.texturing.seen.projection import ProjectedView


@dataclass(frozen=True)
class OutfitSettings:
    """Tuned numbers of filling by material.

    Attributes:
        shading, materials, stray, off_material, hair_edge, unseen, propagation, pattern, ears: of the steps.
        trusted: alpha up to which a texel is filled by material alone, and from which by the smooth completion alone:
            where the photo half shows it, the photo's own colours continue best.
        head_trusted: the same of collars, scarves and hats; the rest of the head is never filled by material alone.
        sure_mirror: certainty of a texel's mirror image from which it is kept, and fully.
        alike: colour distance of the smooth completion from the material's colour up to which plain cloth takes the
            former, and from which the latter: there it is of another garment. Not tuned; two garments of one person
            are further apart.
        least_seen: share of the vertices that must be seen to tell materials.
    """

    shading: ShadingSettings = field(default_factory=ShadingSettings)
    materials: MaterialSettings = field(default_factory=MaterialSettings)
    stray: StraySettings = field(default_factory=StraySettings)
    off_material: OffMaterialSettings = field(default_factory=OffMaterialSettings)
    hair_edge: HairEdgeSettings = field(default_factory=HairEdgeSettings)
    unseen: UnseenGarmentSettings = field(default_factory=UnseenGarmentSettings)
    propagation: PropagationSettings = field(default_factory=PropagationSettings)
    pattern: PatternSettings = field(default_factory=PatternSettings)
    trusted: tuple[float, float] = (0.02, 0.5)
    head_trusted: tuple[float, float] = (0.0, 0.1)
    sure_mirror: tuple[float, float] = (0.4, 0.7)
    alike: tuple[float, float] = (0.06, 0.14)
    least_seen: float = 0.03


DEFAULT_SETTINGS = OutfitSettings()


@dataclass(frozen=True)
class Outfit:
    """The materials of the whole body.

    Attributes:
        dressed: at the vertices.
        texel_labels: (T,) materials.
        names: of the materials.
        invented: (T,) bool, texels whose material nothing of the photo tells.
        stray: (V,) bool, what is seen there belongs elsewhere.
    """

    dressed: Dressed
    texel_labels: NDArray[np.uint8]
    names: tuple[str, ...]
    invented: NDArray[np.bool_]
    stray: NDArray[np.bool_]

    @property
    def garments(self) -> Garments:
        """What smooth colours do not spread across. Hair passes into skin."""
        at_vertices, at_texels = self.dressed.labels, self.texel_labels
        return Garments(np.where(at_vertices > HAIR, at_vertices, SKIN), np.where(at_texels > HAIR, at_texels, SKIN))

    @property
    def map(self) -> MaterialMap:
        """As the result has it."""
        return material_map(self.texel_labels, self.names, self.invented)


def tell_outfit(
    seen: SeenColours,
    cosine: NDArray[np.float32],
    view: ProjectedView,
    bare_ears: tuple[bool, bool],
    settings: OutfitSettings = DEFAULT_SETTINGS,
) -> tuple[Outfit | None, SeenColours]:
    """Tell the materials of the whole body, and leave out of what the photos show what belongs to another one.

    Args:
        seen: what the photos show.
        cosine: (T,) between the surface's normal and the line of sight of the photo that shows each texel best.
        view: the first photo.
        bare_ears: whether the left and the right ear are bare.
        settings: tuned numbers.

    Returns the materials, None if too little is seen to tell them, and what the photos show of them.
    """
    atlas, surface = seen.atlas, seen.atlas.surface
    colour, share = seen.at_vertices
    if (share > settings.materials.seen_share).mean() < settings.least_seen:
        return None, seen
    shading = log_shading(colour, share, view.visibility.normals, surface, settings.shading)
    parsed = _parsed(view, share > settings.materials.seen_share, surface, settings.materials)
    materials = segment(colour, share, shading, seen.skin, surface, settings.materials, parsed)
    told = materials.labels != UNSEEN
    materials, near, other = without_stray(materials, colour, view.visibility.vertices, surface, settings.stray)
    worn = view.source.fit
    shod, skirted = worn.shoes != (None, None), worn.skirt is not None
    materials = with_unseen_garments(materials, share, shod, skirted, surface, settings.unseen)
    materials = _with_bare_ears(materials, bare_ears, surface)
    before = _material_before(materials, view, surface)
    probability = propagate(materials, share, before, surface, settings.propagation)
    probability = with_even_hems(probability, materials, surface, settings.unseen)
    labels = probability.argmax(1)
    low = material_colours(materials, labels, colour, share, surface, settings.propagation)
    texel_labels = labels_at(probability, surface, atlas.table.face, atlas.table.barycentric)
    bare = materials.colours[SKIN]
    seen = without_stray_texels(seen, near, other, bare, cosine, low, labels, texel_labels, settings.stray)
    seen = without_off_material(seen, cosine, low, labels, texel_labels, settings.off_material)
    seen = with_soft_hair_edge(seen, cosine, texel_labels, settings.hair_edge)
    invented = np.zeros(len(atlas.table), bool)
    if materials.invented is not None:
        invented = materials.invented[surface.faces].any(1)[atlas.table.face]
    names = material_names(labels, materials.count, surface)
    stray = other | (told & (materials.labels == UNSEEN))
    return Outfit(Dressed(probability, labels, low, materials.things), texel_labels, names, invented, stray), seen


def _with_bare_ears(materials: Materials, bare: tuple[bool, bool], surface: Surface) -> Materials:
    """The materials with ears of skin where they are bare, unless a garment is seen to cover them."""
    labels = materials.labels.copy()
    for ear, uncovered in zip(EARS, bare, strict=True):
        labels[(surface.ear == ear) & (labels <= HAIR) & uncovered] = SKIN
    return replace(materials, labels=labels)


def dressed_fill(
    smooth: SmoothFill,
    outfit: Outfit,
    seen: SeenColours,
    view: ProjectedView,
    settings: OutfitSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Replace the smooth completion by one with materials and structure.

    Plain garments keep its low band, which goes on from what is seen at the same height. In patterned ones these are
    single stripes and checks, so that they take the colours of the whole material.

    Args:
        smooth: the smooth completion; texels that show the other side of the body are kept where that is seen well.
        outfit: the materials.
        seen: what the photos show of them.
        view: the photo that structure is taken from.
        settings: tuned numbers.

    Returns (T, 3).
    """
    atlas, surface, dressed = seen.atlas, seen.atlas.surface, outfit.dressed
    part = surface.part[surface.faces[:, 0]][atlas.table.face]
    head, worn = part == Part.HEAD, outfit.texel_labels > HAIR
    on_head, elsewhere = (1 - smoothstep(seen.alpha, *limit) for limit in (settings.head_trusted, settings.trusted))
    amount = np.where(head, on_head * worn, elsewhere)
    stray = outfit.stray | outfit.stray[surface.mirror]  # not to be mirrored
    mirrored = (smooth.labels == Label.MIRRORED) & ~stray[surface.faces[:, 0]][atlas.table.face]
    amount *= 1 - _well_mirrored(mirrored, seen, settings)
    texels = np.flatnonzero(amount > 0)
    face, barycentric = atlas.table.face[texels], atlas.table.barycentric[texels]
    labels = outfit.texel_labels[texels]
    base = colours_at(dressed.colour, dressed.labels, labels, surface, face, barycentric)
    factor, patterned = unseen_structure(
        view, dressed, texels, labels, seen.alpha, seen.certain, atlas, settings.pattern
    )
    low = smooth.low[texels]
    plain = (1 - patterned) * (1 - smoothstep(colour_distance(low, base), *settings.alike)) * (labels > HAIR)
    base = base + (low - base) * plain[:, None]
    darkest = settings.pattern.darkest
    made = np.maximum((base + darkest) * factor - darkest, 0)
    result = smooth.colours.copy()
    result[texels] += (made - result[texels]) * amount[texels, None]
    return result


def _parsed(
    view: ProjectedView, seen: NDArray[np.bool_], surface: Surface, settings: MaterialSettings
) -> ParsedVertices | None:
    """What a parser sees at the vertices that the photo shows; of others, only other photos show the colour."""
    parsing = view.source.person.parsing
    if parsing is None:
        return None
    visibility = view.visibility
    shown = seen & (visibility.cosine > 0) & (visibility.trust_at(visibility.vertices) > 0)
    shown &= visibility.part_at(visibility.vertices) == surface.part
    return ParsedVertices.of(parsing, visibility.pixels + view.shift, shown, surface, settings.parsed)


def _well_mirrored(mirrored: NDArray[np.bool_], seen: SeenColours, settings: OutfitSettings) -> NDArray[np.float32]:
    """How surely (T,), 0..1, the photos show the mirror image of the texels that are mirrored: at grazing angles there
    are only smears to mirror.
    """
    atlas, result = seen.atlas, np.zeros(len(mirrored), np.float32)
    texels = np.flatnonzero(mirrored)
    certain = bilinear(atlas.table.picture(seen.certain), mirrored_places(texels, atlas))
    result[texels] = smoothstep(certain, *settings.sure_mirror)
    return result


def _material_before(materials: Materials, view: ProjectedView, surface: Surface) -> NDArray[np.int32]:
    """The material (V,) that is seen where each vertex projects, `UNSEEN` where that is of another part."""
    visibility = view.visibility
    camera = visibility.camera
    fragments = visibility.scene.render_at(camera.project(visibility.vertices), camera)
    nearest = surface.faces[np.maximum(fragments.face, 0), fragments.barycentric.argmax(1)]
    same = fragments.mask & (surface.part[nearest] == surface.part)
    return np.where(same, materials.labels[nearest], UNSEEN).astype(np.int32)

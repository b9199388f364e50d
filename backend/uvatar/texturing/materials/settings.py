"""The tuned numbers of telling materials apart."""

from __future__ import annotations

from dataclasses import dataclass, field

from uvatar.photos.skin import SkinLikenessSettings
from uvatar.texturing.completion.hair_tone import HairToneSettings
from uvatar.texturing.materials.collars import CollarSettings
from uvatar.texturing.materials.light_splits import LightSplitSettings
from uvatar.texturing.materials.parsed import ParsedSettings


@dataclass(frozen=True)
class MaterialSettings:
    """Tuned numbers of materials, set while looking at 17 people. Colours are `perceptual` units times
    ``colour_weights``.

    Attributes:
        seen_share: share of a vertex's texels that must be seen.
        colour_weights: of luma and the two chroma differences.
        smoothing, rounds: colours are averaged with neighbours that differ by less than this, so often.
        clusters, cluster_rounds: of the first, too fine division (k-means).
        alike: score below which two materials become one: distance of their colours, less the following.
        gradual: factor on the median step of colour where two materials meet, which counts instead of their distance
            if that is larger.
        gradual_least: share of the distance that remains at least.
        least_border: edges of the mesh that must tell.
        saturated: chroma over luma, both weighted, from which a colour is saturated, and fully;
        faded: what a difference in brightness counts between saturated colours of one hue.
        washed: the same for a difference in saturation.
        interleaved: share of two materials' edges that lead from one to the other from which they are checks or
            stripes of one, and what that takes off the score.
        interleaved_bonus: see there.
        least_interleaved: vertices of a material from which that is told.
        smallest, small: vertices up to which a material is most likely a part of another, and from which it is as
            likely as any; an island below the first (some 30 square centimetres) joins its surroundings.
        smallest_bonus: what that takes off the score.
        skin_apart: what the score of a material with the skin's hue and one without has more.
        skin_hue: distances of chroma over luma, both weighted, up to which a hue is the skin's, and from which not.
        tone: sRGB of a middling skin; any_skin: distance of chroma over luma from its own within which a colour may be
            anybody's skin; no_hue: chroma over luma of black and white photos.
        any_skin, no_hue: see there.
        saturated_skin: what more saturation than that tone's counts in that distance: warm light and dark photos.
        skin_light: luma over the skin's up to which it may be skin, and from which not.
        spread, coupling, potts_rounds: of the Potts model that tidies up: deviation of colours inside a material, and
            how much all neighbours count.
        same_skin: distance from the skin's colour below which a garment is bare skin.
        bare_skin, bare_like: likeness to skin, and how much of it, from which bare limbs are skin: darker than the
            face, but not black.
        bare_arms, bare_trunk: shares of a material on the arms from which, and on the trunk up to which, it may be bare
            limbs.
        same_hue, same_arms: likeness to skin that leaves out pale clothes, and the share of a material on the arms from
            which it is then bare limbs, however much of it is on the trunk: in the photo, arms lie before it. Also the
            share of the arms that is skin already from which a material of arms and shoulders may be.
        limb_skin, limb_like: likeness to skin, and how much of it, from which a material of arms and legs may be skin
            in another light than the face,
        limb_each: if so much of it is on the arms, and so much on the legs,
        pale_skin: and the skin's chroma over luma is more than this: black trousers have the hue of pale skin.
        limb_share: share of it on the limbs from which, and of what is seen of the trunk up to which, it is: nobody
            wears one cloth on arms and legs and another one on the trunk,
        hips: nor on what is seen up to so many metres above the top of the legs, where trousers begin.
        hair_height, hair: as `CompletionSettings`.
        bald: distance of the scalp's colour from the skin's below which there is no hair.
        thing_piece, thing_area: square metres up to which a piece of a material, or all of the material, may be a
            single thing on a garment, such as a badge, a strap or a pocket; it shows where the photo shows it, but is
            no garment that goes on elsewhere,
        thing_coverage: if it takes less than this share of what is seen of its slices of the body,
        thing_surrounded: and borders on one other material by this share of its edge.
        least_area: square metres of a garment, below which it is such a thing wherever it is.
        shoe_share: share of a piece of a material on the feet from which it is a shoe's, whatever else is so coloured.
        glove: mean likeness of a hand to skin below which it is gloved.
        light: of joining what light has split.
        parsed: of what a parser says.
        collars: of collars.
    """

    seen_share: float = 0.3
    colour_weights: tuple[float, float, float] = (0.7, 2.2, 2.2)
    smoothing: float = 0.08
    rounds: int = 8
    clusters: int = 16
    cluster_rounds: int = 12
    alike: float = 0.15
    gradual: float = 2.5
    gradual_least: float = 0.35
    least_border: int = 8
    saturated: tuple[float, float] = (0.1, 0.35)
    faded: float = 0.45
    washed: float = 0.6
    interleaved: float = 0.30
    interleaved_bonus: float = 0.5
    least_interleaved: int = 40
    smallest: int = 25
    small: int = 40
    smallest_bonus: float = 0.3
    skin_apart: float = 0.4
    skin_hue: tuple[float, float] = (0.35, 0.8)
    tone: tuple[int, int, int] = (190, 150, 128)
    any_skin: float = 0.75
    no_hue: float = 0.05
    saturated_skin: float = 0.25
    skin_light: tuple[float, float] = (1.3, 1.7)
    spread: float = 0.15
    coupling: float = 4.0
    potts_rounds: int = 8
    same_skin: float = 0.07
    bare_skin: SkinLikenessSettings = field(default_factory=lambda: SkinLikenessSettings(shade=(0.35, 0.5)))
    bare_like: float = 0.8
    bare_arms: float = 0.05
    bare_trunk: float = 0.3
    same_hue: SkinLikenessSettings = field(
        default_factory=lambda: SkinLikenessSettings(hue=(0.03, 0.05), shade=(0.5, 0.7), light=(1.3, 1.5))
    )
    same_arms: float = 0.3
    limb_skin: SkinLikenessSettings = field(default_factory=lambda: SkinLikenessSettings(shade=(0.22, 0.34)))
    limb_like: float = 0.4
    limb_each: float = 0.1
    pale_skin: float = 0.12
    limb_share: tuple[float, float] = (0.6, 0.35)
    hips: float = 0.06
    hair_height: float = 0.4
    hair: HairToneSettings = field(default_factory=HairToneSettings)
    bald: float = 0.06
    thing_piece: float = 0.01
    thing_area: float = 0.035
    thing_coverage: float = 0.5
    thing_surrounded: float = 0.6
    least_area: float = 0.005
    shoe_share: float = 0.6
    glove: float = 0.15
    light: LightSplitSettings = field(default_factory=LightSplitSettings)
    parsed: ParsedSettings = field(default_factory=ParsedSettings)
    collars: CollarSettings = field(default_factory=CollarSettings)


DEFAULT_SETTINGS = MaterialSettings()

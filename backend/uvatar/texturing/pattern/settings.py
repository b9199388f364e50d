"""The tuned numbers of carrying structure to what no photo shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from uvatar.texturing.pattern.shift_map import ShiftSettings


@dataclass(frozen=True)
class PatternSettings:
    """Tuned numbers of structure, set while looking at 17 people; lengths are metres of a 1.7 m body.

    Attributes:
        pixel: of the picture in which structure moves, for a texture of 1024 texels a side; it shrinks with the square
            root of the texels'.
        largest_side: of that picture, pixels.
        darkest: linear light added before ratios are taken: noise in the dark is no structure.
        strongest: log ratio at which structure is clipped.
        shown: alpha of a texel from which structure is taken, and
        sure: share of its usual certainty.
        cosine: to the line of sight from which structure is taken; beyond it the picture goes on unrolled,
        furthest: by this many metres at most.
        depth: distance from the mask's edge from which it is taken.
        mapping_rounds: of smoothing the directions in which it does.
        border_reach: distance from another material up to which a pixel may be of that material.
        more_alike: share of its distance from its own material's colour below which it is.
        foreign_colour: least distance from its own material's colour.
        border_margin: around such pixels, and along the border.
        middle: half width of the trunk's middle, where plackets, ties, logos and flies are.
        hue_outlier, light_outlier: least deviation of hue (`colour_distance`) and of log ratio from the material's own
            that is a single thing;
        hue_spread, light_spread: and in units of the usual deviation: for hue ``usual_factor`` times the quantile
            ``usual``, for light the median.
        usual, usual_factor: see there.
        row_share: of a row that is off: belts and stripes are no single things.
        pitch: half the distance at which the pieces of a pattern lie from each other at most.
        pattern_share: share of the material's area that a group of odd pixels, grown by ``pitch``, has from which it is
            a pattern,
        single_extent: and share of the material's width or height.
        pieces: number of groups from which they are a pattern together.
        margin: around single things.
        least_run: of known pixels in a row.
        least_area: square metres of a material from which structure is taken.
        plain_strength: power of the structure of plain cloth, half of whose folds are not where the back has its own;
            patterned cloth has all of it.
        broad: standard deviation over which structure is averaged; the average is light and shade of the front, not
            cloth, and no pattern with a pitch below two and a half times as much is in it,
        broad_strength: so that it is used with this factor alone.
        grain: standard deviation over which a material is averaged before it is asked whether it is patterned: the
            photo's noise is no pattern.
        patterned: median deviation of hue from which a material is patterned, and fully,
        contrasted: and the same of brightness, a log ratio. Set on 7 rendered people: plain cloth has up to .02 and .2,
            patterned cloth at least .04 or .27.
        shift: how holes are filled.
    """

    pixel: float = 0.002
    largest_side: int = 1200
    darkest: float = 0.01
    strongest: float = 1.2
    shown: float = 0.9
    sure: float = 0.7
    cosine: float = 0.50
    furthest: float = 0.12
    depth: float = 0.01
    mapping_rounds: int = 6
    border_reach: float = 0.05
    more_alike: float = 0.7
    foreign_colour: float = 0.12
    border_margin: float = 0.006
    middle: float = 0.05
    hue_outlier: float = 0.10
    hue_spread: float = 4.0
    light_outlier: float = 0.5
    light_spread: float = 5.0
    usual: float = 0.3
    usual_factor: float = 1.5
    row_share: float = 0.85
    pitch: float = 0.03
    pattern_share: float = 0.4
    single_extent: float = 0.85
    pieces: int = 8
    margin: float = 0.015
    least_run: float = 0.02
    least_area: float = 0.002
    plain_strength: float = 0.6
    broad: float = 0.035
    broad_strength: float = 0.4
    grain: float = 0.004
    patterned: tuple[float, float] = (0.015, 0.035)
    contrasted: tuple[float, float] = (0.2, 0.28)
    shift: ShiftSettings = field(default_factory=ShiftSettings)


DEFAULT_SETTINGS = PatternSettings()

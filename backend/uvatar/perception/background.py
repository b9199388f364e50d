"""Takes surely recognised background out of a person's mask.

The segmentation of the pose model sometimes takes in a broad strip of what is around a person: a crowd behind a player
who leaps. A parser recognises the outer part of such a strip, for it has learnt from masks with faults, but it trusts
what lies farther inside. So the parser only says that a mask is wrong, and where there is background for certain; then
the photo's colours cut the person out of the mask again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.parsing import ParseClass, Parsing
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.perception.gaps import DEFAULT_SETTINGS as GAPS
from uvatar.perception.gaps import along_bones


@dataclass(frozen=True)
class BackgroundSettings:
    """Tuned numbers of taking background out of masks.

    Good masks become worse if they are cut out again, so that only those are that are wrong for certain
    (docs/perception.md has the figures).

    Attributes:
        sure: probability of background in the middle of a piece. Limbs that motion blurs are below.
        likely: probability as far as which a piece reaches.
        rim: share of the window's longer side by which pieces are opened: the outlines of mask and parser differ by so
            much anyway.
        piece: share of the mask that the sure part of a piece must have.
        wrong: share of the mask that all pieces together must have. Of 118 people in 116 photos, one has .075, whose
            mask takes in a crowd; the next ones have .021, .012 and .008, all others nothing.
        side: pixels of the longer side at which colours are compared.
        rounds: of graph cuts. With 2 or 8, the IoU of masks that were grown differs by .003 or less.
        visible: visibility from which on a landmark says where the person is. Those in front of a crowd are doubtful.
        kept: share of the mask that must remain; otherwise the colours do not tell the person from the background.
    """

    sure: float = 0.8
    likely: float = 0.5
    rim: float = 0.01
    piece: float = 0.005
    wrong: float = 0.03
    side: int = 384
    rounds: int = 5
    visible: float = 0.1
    kept: float = 0.2


DEFAULT_SETTINGS = BackgroundSettings()


def without_background(person: Person, photo: Photo, settings: BackgroundSettings = DEFAULT_SETTINGS) -> Person:
    """The person with a mask that leaves out what is surely background; the same one where nothing is.

    What the parser has seen goes with the mask that it was given.

    Args:
        person: with what a parser sees; without that, nothing is sure.
        photo: the one that the person is in.
        settings: tuned numbers.
    """
    if person.parsing is None:
        return person
    x0, y0, x1, y1 = person.window
    scale = min(1.0, settings.side / max(x1 - x0, y1 - y0))
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    mask, others = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) > 127 for one in (person.mask, person.others))
    background = _background(person.parsing, person.window, size)
    points = (person.landmarks[:, :2] - (x0, y0)) * (size[0] / (x1 - x0), size[1] / (y1 - y0))
    seen = person.landmarks[:, 2] > settings.visible
    flesh = along_bones(points, GAPS.arm, GAPS.leg, mask.shape, seen=seen)
    pieces = _pieces(background, mask, flesh, settings)
    if np.count_nonzero(pieces) < settings.wrong * max(np.count_nonzero(mask), 1):
        return person
    colours = np.asarray(cv2.resize(photo.pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), np.uint8)
    core = along_bones(points, GAPS.core, GAPS.core, mask.shape, seen=seen) & mask
    if not core.any():
        return person
    cut = _cut_out(colours, mask, others, pieces, flesh, core, settings)
    if np.count_nonzero(cut) < settings.kept * np.count_nonzero(mask):
        return person
    alpha = cv2.resize(cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 1.0), (x1 - x0, y1 - y0))
    smaller = np.minimum(person.mask, np.round(255 * alpha).astype(np.uint8))
    return replace(person, mask=smaller, parsing=None)


def _background(parsing: Parsing, window: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) the probability of background on a grid of ``size`` (width, height) over a window of the photo."""
    found = np.ascontiguousarray(parsing.probabilities[..., ParseClass.BACKGROUND])
    low, high = np.array(parsing.window[:2]), np.array(parsing.window[2:])
    step = np.array([window[2] - window[0], window[3] - window[1]]) / size
    to_parsing = np.array(found.shape[::-1]) / (high - low)
    start = (np.array(window[:2]) + 0.5 * step - low) * to_parsing - 0.5
    matrix = np.column_stack([np.diag(step * to_parsing), start])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(found, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _pieces(
    background: NDArray[np.float32], mask: NDArray[np.bool_], flesh: NDArray[np.bool_], settings: BackgroundSettings
) -> NDArray[np.bool_]:
    """(h, w) the pieces of a mask, away from limbs, that are background for certain."""
    width = 1 + 2 * max(1, round(settings.rim * max(mask.shape)))
    likely = ((background > settings.likely) & mask & ~flesh).astype(np.uint8)
    count, labels = cv2.connectedComponents(cv2.morphologyEx(likely, cv2.MORPH_OPEN, np.ones((width, width), np.uint8)))
    certain = np.bincount(labels[background > settings.sure], minlength=count)
    large = certain > settings.piece * np.count_nonzero(mask)
    large[0] = False
    return np.asarray(large[labels], bool)


def _cut_out(
    colours: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    others: NDArray[np.bool_],
    pieces: NDArray[np.bool_],
    flesh: NDArray[np.bool_],
    core: NDArray[np.bool_],
    settings: BackgroundSettings,
) -> NDArray[np.bool_]:
    """(h, w) the part of a mask that has the person's colours rather than the background's.

    It is found by iterated graph cuts (Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004).

    Args:
        colours: (h, w, 3) sRGB.
        mask: (h, w) what may be the person's.
        others: (h, w) where other people are, who look like neither.
        pieces: (h, w) of the mask, certainly background.
        flesh: (h, w) probably the person's.
        core: (h, w) certainly the person's.
        settings: tuned numbers.
    """
    labels = np.where(flesh, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[~mask | pieces] = cv2.GC_BGD
    labels[core] = cv2.GC_FGD
    # Team mates wear the same: nothing is learnt from their colours, which give way to those of what is beside them.
    background = (labels == cv2.GC_BGD) & ~others
    rows, columns = np.nonzero(background)
    _, nearest = cv2.distanceTransformWithLabels(
        (~background).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    own = np.argsort(nearest[rows, columns])[nearest[others] - 1]
    shown = colours.copy()
    shown[others] = colours[rows[own], columns[own]]
    cv2.setRNGSeed(0)  # so that the same photo gives the same mask
    model = np.zeros((2, 1, 65))  # of the colours of background and person, as OpenCV stores them
    nowhere = (0, 0, 0, 0)  # the rectangle around the person: not used where there are labels
    cv2.grabCut(shown, labels, nowhere, model[0], model[1], settings.rounds, cv2.GC_INIT_WITH_MASK)
    return np.asarray(mask & ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)), bool)

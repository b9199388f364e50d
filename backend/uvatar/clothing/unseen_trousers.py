"""Trousers on legs of which the photo shows nothing: straight ones, instead of cloth that is tight as skin.

Cloth hangs from where the leg is widest: from the seat, the thigh and the calf it falls towards the hem, and narrows
only as a straight leg of trousers does. Texturing gives these legs their colour
(`uvatar.texturing.materials.unseen_garments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.data import BodyData
from uvatar.clothing.limbs import LEG_JOINTS
from uvatar.clothing.model import ClothingModel
from uvatar.clothing.sections import Sections, smoothed
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS
from uvatar.data.view import View
from uvatar.fitting.observations import unseen_legs
from uvatar.photos.colour import smoothstep


@dataclass(frozen=True)
class UnseenTrouserSettings:
    """Tuned numbers of trousers that nobody sees, set while looking at 8 portraits. Metres on a person of 1.7 m.

    Attributes:
        bare: share of the thighs that shows skin, from which legs are bare.
        row: between cross-sections of a leg.
        thickness: half of that of a cross-section: the mesh has a ring of vertices every 2 to 4 cm.
        directions: of a cross-section.
        ease: that the cloth stands off the leg at least.
        opening: mean radius of the hem. A straight leg measures some 44 cm around it.
        taper: by which trousers get narrower at least, from their middle, per metre of their length.
        between: that the two legs keep between them.
        crotch: below the hip joints.
        rise: height above the crotch over which the trousers begin.
        hem: of the trousers' edge above the ankle joints.
        edge: height over which they stand out there.
    """

    bare: float = 0.2
    row: float = 0.01
    thickness: float = 0.025
    directions: int = 48
    ease: float = 0.006
    opening: float = 0.07
    taper: float = 0.03
    between: float = 0.006
    crotch: float = 0.08
    rise: float = 0.10
    hem: float = 0.0
    edge: float = 0.012


DEFAULT_SETTINGS = UnseenTrouserSettings()


def with_unseen_trousers(
    shoes: NDArray[np.float32] | None,
    view: View,
    model: ClothingModel,
    cloth: Floats,
    others: Sequence[View] = (),
    settings: UnseenTrouserSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32] | None:
    """The displacements (V, 3) of shoes, with those of trousers if no photo shows anything of the legs.

    Args:
        shoes: (V, 3), or None.
        view: of the person.
        model: of the body.
        cloth: as `uvatar.clothing.bridging.cloth_shares` returns it: whose thighs are bare wears no trousers.
        others: more views of the person.
        settings: tuned numbers.
    """
    if not all(unseen_legs(one.person.landmarks, one.camera).all() for one in (view, *others)):
        return shoes
    thighs = model.body.data.weights[:, HIP_JOINTS].sum(1) > 0.5
    if (cloth[thighs] < 0.5).mean() > settings.bare:
        return shoes
    trousers = unseen_trousers(model.body.data, model.mesh.averaging, view.fit.body.betas, settings)
    return trousers if shoes is None else shoes + trousers


def unseen_trousers(
    data: BodyData, mean: sparse.csr_matrix, betas: Floats, settings: UnseenTrouserSettings = DEFAULT_SETTINGS
) -> NDArray[np.float32]:
    """Displacements (V, 3), metres at rest, that make trousers of the legs of a body of this shape.

    Args:
        data: of the body.
        mean: (V, V) replaces a vertex's value by the mean of its neighbours'.
        betas: the body's shape.
        settings: tuned numbers.
    """
    rest = data.v_template + data.shapedirs @ betas
    joints = data.joint_template + data.joint_shapedirs @ betas
    size = float(np.ptp(rest[:, 1])) / 1.7
    crotch = float(joints[HIP_JOINTS, 1].mean()) - settings.crotch * size
    hem = float(joints[ANKLE_JOINTS, 1].mean()) + settings.hem * size
    offsets = np.zeros(rest.shape)
    for side, own in zip((1, -1), LEG_JOINTS, strict=True):  # of the person: +1 left
        leg = data.weights[:, own].sum(1)
        chosen = np.flatnonzero((leg > 0) & (rest[:, 1] > hem) & (rest[:, 1] < crotch + settings.rise * size))
        outwards = _to_trousers(rest, chosen, side, (hem, crotch), size, settings)
        height = rest[chosen, 1]
        share = leg[chosen] * smoothstep((height - hem) / size, 0, settings.edge)
        share *= 1 - smoothstep((height - crotch) / size, 0, settings.rise)
        offsets[chosen[:, None], [0, 2]] += outwards * share[:, None]
    # Unless the hem is softened, quads fold at it.
    return np.asarray(0.5 * (offsets + mean @ offsets), np.float32)


def _to_trousers(
    rest: Floats,
    chosen: NDArray[np.intp],
    side: int,
    ends: tuple[float, float],
    size: float,
    settings: UnseenTrouserSettings,
) -> Floats:
    """(N, 2) steps in x and z from the chosen vertices of one leg to its trousers, between these heights."""
    hem, crotch = ends
    row = settings.row * size
    heights = np.arange(crotch, hem, -row)
    own = rest[chosen]
    own = own[(own[:, 0] * side > 0) & (own[:, 1] < crotch + settings.thickness * size)]
    sections = Sections.of(own, heights, settings.thickness * size, settings.directions)
    if sections is None:
        return np.zeros((len(chosen), 2))
    # Every direction hangs from the widest place above, on its way down to the hem.
    wide = float(sections.reach[0].mean()) + (settings.ease - settings.opening) * size
    taper = max(settings.taper, wide / (crotch - hem))
    narrowing = taper * row * np.arange(len(heights))[:, None]
    radius = np.maximum.accumulate(sections.reach + settings.ease * size + narrowing, axis=0) - narrowing
    radius = smoothed(radius, 3, 1.5)
    inwards = -side * sections.way[:, 0]
    room = np.maximum(np.abs(sections.centre[:, :1]) - settings.between * size / 2, 0.0) / np.maximum(inwards, 1e-6)
    radius = np.where(inwards > 0, np.maximum(np.minimum(radius, room), sections.reach), radius)
    return sections.outwards(rest[chosen], radius)

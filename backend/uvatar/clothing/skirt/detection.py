"""Whether a person wears a skirt, a dress or a long coat, and how far it reaches, read from the mask.

Below a skirt's hem the mask becomes narrower at once, and above it the mask holds both legs and what is between and
beside them. Trousers do neither, however wide, as long as the legs stand apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.clothing.skirt.plane import RowPicture, dilated
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS


@dataclass(frozen=True)
class DetectionSettings:
    """Tuned numbers of finding skirts; lengths in metres on a person of 1.7 m.

    Attributes:
        top: of what is looked at, from the pelvis.
        crotch: below the hip joints.
        arm_margin: that sleeves stand off the bare arm.
        body_margin: that other clothes stand off the bare body.
        first_hem: share of the leg below the crotch from which a hem may be.
        last_hem: share below which it is one only if the skirt is wide: trousers' hems are there.
        above, below: rows over whose mean width the drop is measured, and below the hem.
        cover: share of the rows from crotch to hem in which one run of the mask holds both legs.
        drop: by which the width falls at the hem.
        excess: mean of the mask's width outside the body, crotch to hem. Skirts in photos had .047 to .105 with drops
            of .17 to .22; of 42 other people one had both, in football shorts.
        gap: width of a gap between the bare legs that tells something.
        gap_rows: heights of such gaps above and below the hem.
        filled, empty: least and greatest share of the gaps that the mask fills above and below a skirt's hem; then
            ``gap_drop`` is enough, as a narrow skirt needs no excess. Narrow skirts had at most .26 of the gap below
            filled, and drops from .105; the shorts of two football players .16 and .30, with drops of .08 and .14.
        wide_drop, wide_excess: the same near the ankles.
        long_drop, long_excess, long_gap, long_filled: the same there where the mask also fills this share of the gap
            between the bare legs over this height: a long, narrow skirt had .20 and .076; of five people in trousers
            whose widest rows are there, none had more than .105 and .047.
        turned, turned_drop, turned_excess: share of the distance between the hip joints that the photo shows, below
            which the legs are seen from the side, one before the other, and the same then: shorts of two football
            players had drops of .16 and .15 with .044 and .020.
        hidden: share of a row that others or the edge of the photo hide from which it tells nothing.
        known: share of the rows from crotch to hem that must tell something.
    """

    top: float = -0.25
    crotch: float = 0.09
    arm_margin: float = 0.02
    body_margin: float = 0.025
    first_hem: float = 0.12
    last_hem: float = 0.85
    above: float = 0.05
    below: tuple[float, float] = (0.015, 0.06)
    cover: float = 0.85
    drop: float = 0.15
    excess: float = 0.02
    gap: float = 0.015
    gap_rows: tuple[float, float] = (0.06, 0.03)
    filled: float = 0.9
    empty: float = 0.28
    gap_drop: float = 0.095
    wide_drop: float = 0.22
    wide_excess: float = 0.06
    long_drop: float = 0.12
    long_excess: float = 0.06
    long_gap: float = 0.25
    long_filled: float = 0.97
    turned: float = 0.8
    turned_drop: float = 0.18
    turned_excess: float = 0.04
    hidden: float = 0.25
    known: float = 0.8


DEFAULT_SETTINGS = DetectionSettings()


@dataclass(frozen=True)
class SkirtRows:
    """What the rows of the legs' plane tell.

    Attributes:
        crotch, hem: rows.
        low, high: (H,) columns of the first and the last pixel of the run that holds the legs, arms taken off its ends;
            -1 where there is none.
        behind: (H, 2) pixels by which the run goes on to either side, before arms were taken off: the skirt may go on
            behind them.
        drop, excess: as in `DetectionSettings`, at the hem.
        found: whether there is a skirt.
        hidden: whether there may be one, but others or the edge of the photo hide its hem.
    """

    crotch: int
    hem: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    behind: NDArray[np.int64]
    drop: float
    excess: float
    found: bool
    hidden: bool


def skirt_rows(
    picture: RowPicture,
    joints: Floats,
    arms: NDArray[np.bool_] | None = None,
    settings: DetectionSettings = DEFAULT_SETTINGS,
) -> SkirtRows:
    """Look for a skirt. ``joints`` (24, 3) posed; ``arms`` (H, W) where dressed arms are, by default the bare ones."""
    plane, size = picture.plane, picture.plane.size
    s = plane.coordinates(joints)[:, 2]
    crotch, ankle = picture.row(s[HIP_JOINTS].mean() + settings.crotch * size), picture.row(s[ANKLE_JOINTS].mean())
    arms = dilated(picture.arms if arms is None else arms, settings.arm_margin, picture)
    low, high, behind, width, cover = _runs(picture, arms, picture.row(settings.top * size))
    body = dilated(picture.body, settings.body_margin, picture)
    columns = np.arange(picture.mask.shape[1])
    run = (columns >= low[:, None]) & (columns <= high[:, None]) & (low >= 0)[:, None]
    excess = (run & ~body).sum(1) * picture.step / size
    hidden = (run & ~picture.known).sum(1) > settings.hidden * np.maximum(run.sum(1), 1)
    rows = picture.step
    above, (start, end) = round(settings.above * size / rows), (round(v * size / rows) for v in settings.below)
    first = crotch + round(settings.first_hem * (ankle - crotch))
    best, sure, hem, unseen = -np.inf, -np.inf, first, crotch
    for row in range(first, min(ankle, len(width) - end - 1)):
        if cover[crotch : row + 1].mean() <= settings.cover:
            continue
        under = picture.known[row + start : row + end, low[row] : high[row] + 1]
        if low[row] < 0 or under.mean() < 1 - settings.hidden:
            unseen = row  # a hem may be here
            continue
        over = slice(row - above, row)
        drop = (width[over].mean() - width[row + start : row + end].mean()) / size
        if drop > best:
            best, hem = drop, row
            # Cloth may go on where the photo does not show it.
            beyond = ~picture.known[row + start : row + end, max(0, low[over].min()) : high[over].max() + 1]
            sure = drop - float(beyond.sum(1).mean()) * picture.step / size
    mean = float(excess[crotch : hem + 1].mean()) if hem > crotch else 0.0
    late = hem > crotch + settings.last_hem * (ankle - crotch)
    hips = joints[HIP_JOINTS[0]] - joints[HIP_JOINTS[1]]
    turned = abs(float(hips @ plane.axes[0])) < settings.turned * float(np.linalg.norm(hips))
    least = (settings.turned_drop, settings.turned_excess) if turned else (settings.drop, settings.excess)
    least = (settings.wide_drop, settings.wide_excess) if late else least
    found = (sure > least[0] and mean > least[1]) or _fills_the_gap(picture, crotch, hem, sure, mean, late, settings)
    covered = hidden[crotch : min(hem + end, len(hidden))].mean() > 1 - settings.known
    # Wide all the way down to where the photo ends, or somebody else begins.
    cut = not found and unseen > first and float(excess[crotch:unseen].mean()) > settings.wide_excess
    found_here, hidden_here = found and not covered, (found and covered) or cut
    return SkirtRows(crotch, hem, low, high, behind, float(best), mean, found_here, hidden_here)


def _fills_the_gap(
    picture: RowPicture, crotch: int, hem: int, drop: float, excess: float, late: bool, settings: DetectionSettings
) -> bool:
    """Whether the mask fills the gap between the bare legs above the hem, and leaves it open below; of a long skirt,
    whose hem is at the feet, over a long way.
    """
    step, size = picture.step, picture.plane.size
    above = _gap_filled(picture, crotch, hem - 1, settings)
    if late:
        fills = len(above) * step >= settings.long_gap * size and np.mean(above) >= settings.long_filled
        return bool(fills and drop > settings.long_drop and excess > settings.long_excess)
    start, stop = (round(length * size / step) for length in (settings.below[0], settings.gap_rows[0] + 0.06))
    below = _gap_filled(picture, hem + start, hem + stop, settings)
    told = all(len(rows) * step >= least * size for rows, least in zip((above, below), settings.gap_rows, strict=True))
    filled = told and np.mean(above) >= settings.filled and np.mean(below) <= settings.empty
    return bool(filled and drop > settings.gap_drop)


def _gap_filled(picture: RowPicture, start: int, stop: int, settings: DetectionSettings) -> list[float]:
    """The share that the mask fills of the gap between the bare legs, of each of the rows with such a gap."""
    filled = []
    for row in range(start, min(stop, len(picture.s))):
        columns = np.flatnonzero(picture.body[row])
        if not len(columns) or not np.isfinite(picture.legs[row]).all():
            continue
        gap = columns[0] + np.flatnonzero(~picture.body[row, columns[0] : columns[-1]])
        between = np.sort(picture.legs[row])
        gap = gap[(picture.u[gap] > between[0]) & (picture.u[gap] < between[1])]
        if len(gap) * picture.step >= settings.gap * picture.plane.size:
            filled.append(float(picture.mask[row, gap].mean()))
    return filled


def _runs(
    picture: RowPicture, arms: NDArray[np.bool_], first: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Per row: ends of the mask's run that holds most of the body, arms taken off; how much was taken off; width of all
    runs that hold some of it, metres; whether the run holds both legs. Nothing above the ``first`` row.
    """
    count = len(picture.s)
    low, high = np.full(count, -1), np.full(count, -1)
    behind, width, cover = np.zeros((count, 2), np.int64), np.zeros(count), np.zeros(count, bool)
    for row in range(first, count):
        inside = picture.mask[row]
        change = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
        most = 0
        for start, stop in change.reshape(-1, 2):
            own = int(picture.body[row, start:stop].sum())
            free = np.flatnonzero(~arms[row, start:stop])
            if not own or not len(free):
                continue
            width[row] += (free[-1] - free[0] + 1) * picture.step
            if own > most:
                most, low[row], high[row] = own, start + free[0], start + free[-1]
                behind[row] = free[0], stop - 1 - high[row]
        if low[row] >= 0:
            ends = picture.u[low[row]], picture.u[high[row]]
            legs = picture.legs[row]
            cover[row] = bool(((legs > ends[0]) & (legs < ends[1])).all())
    return low, high, behind, width, cover

"""Filling holes of a structure picture with shifted copies of what is known of it.

Patterns repeat, so a few shifts explain most of a hole (He and Sun 2012, "Statistics of patch offsets for image
completion"). Shifts are found by correlation at all offsets at once, one after the other; each fills what it can, and
its edge is brought to the known values by a membrane (Perez et al. 2003). What no shift reaches is mirrored along the
row.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from uvatar.photos.colour import smoothstep
from uvatar.texturing.seen.foreground import push_pull

_COMPARED = 4000  # pixels of a ring, about, by which a shift is found exactly


@dataclass(frozen=True)
class ShiftSettings:
    """Tuned numbers of shift maps, set while looking at 17 people; lengths are metres of a 1.7 m body.

    Attributes:
        search: pixel in which shifts are looked for; the best is then found again in the picture's own pixels.
        ring: width of the surroundings of a hole that must agree.
        least_shift: shorter ones would only smear.
        rounds: shifts at most.
        least_gain: share of the hole that a shift must fill.
        mismatch: what the difference in the ring, in units of twice its variance, takes off the share filled,
        worst: and up to which value it counts.
        least_overlap: share of the ring that must be compared; a shift with less counts as the worst.
        off_pitch: what a shift by which the picture does not agree with itself takes off: patterns repeat at their
            pitch.
        vertical: what a shift of ``vertical_unit`` up or down takes off: garments change along the body.
        vertical_unit: see there.
        largest_step: of log ratio, that the membrane evens out,
        joined: standard deviation over which it is averaged along the edge: what is finer is pattern.
        hand_over: width over which two mirrored continuations blend.
        run: lengths of known runs in a row from which their mirror images count, and fully: short runs repeated make
            ornaments.
    """

    search: float = 0.006
    ring: float = 0.025
    least_shift: float = 0.03
    rounds: int = 16
    least_gain: float = 0.03
    mismatch: float = 0.5
    worst: float = 1.5
    least_overlap: float = 0.25
    off_pitch: float = 0.4
    vertical: float = 0.15
    vertical_unit: float = 0.3
    largest_step: float = 0.6
    joined: float = 0.008
    hand_over: float = 0.024
    run: tuple[float, float] = (0.02, 0.08)


DEFAULT_SETTINGS = ShiftSettings()


def filled(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    wanted: NDArray[np.bool_],
    metre: float,
    settings: ShiftSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Fill the wanted pixels that are not known.

    Args:
        values: (h, w, 3) log ratios, about 0; anything where not known.
        known: (h, w) where they may be copied from.
        wanted: (h, w) where they are needed.
        metre: pixels per metre.
        settings: tuned numbers.

    Returns values (h, w, 3), 0 where neither known nor wanted.
    """
    result = np.where(known[..., None], values, 0).astype(np.float32)
    if not known.any():
        return result
    done = known.copy()
    luma = _luma(result)
    factor = max(1, round(settings.search * metre))
    source = _Source.of(luma, known, factor)
    cost = None if source is None else _shift_costs(source, metre / factor, settings)
    for _ in range(settings.rounds):
        hole = wanted & ~done
        if source is None or cost is None or not hole.any():
            break
        shift = _best_shift(result, luma, source, done, hole, metre, cost, settings)
        if shift is None and source.known is known and (done & ~known).any():
            source = _Source.of(luma, done.copy(), factor)  # what is left is too far from what is known
            shift = None if source is None else _best_shift(result, luma, source, done, hole, metre, cost, settings)
        if source is None or shift is None:
            break
        _copy_shifted(result, source.known, shift, done, hole, factor, metre, settings)
        np.copyto(luma, _luma(result), where=hole)
    rest = wanted & ~done
    if rest.any():
        asked = np.flatnonzero(rest.any(1))
        result[rest] = _mirrored_rows(result, done, asked, metre, settings)[rest[asked]]
    return result


def _luma(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean (h, w) of the three channels."""
    return np.asarray(cv2.transform(values, np.full((1, 3), 1 / 3, np.float32)), np.float32)


@dataclass(frozen=True)
class _Source:
    """What is copied from, reduced for the search.

    Attributes:
        known: (h, w) at full resolution.
        factor: of the reduction, to ``size`` (columns, rows).
        shape: (rows, columns) of the Fourier transforms, at which shifts do not wrap around.
        share, luma, square: transforms of where it is known, and of its brightness and that squared there.
        inside, brightness: (rows, columns) the same before.
        variance: of the brightness.
    """

    known: NDArray[np.bool_]
    factor: int
    size: tuple[int, int]
    shape: tuple[int, int]
    share: NDArray[np.complex64]
    luma: NDArray[np.complex64]
    square: NDArray[np.complex64]
    inside: NDArray[np.bool_]
    brightness: NDArray[np.float32]
    variance: float

    @classmethod
    def of(cls, light: NDArray[np.float32], known: NDArray[np.bool_], factor: int) -> _Source | None:
        """Of brightness (h, w); None if nothing is left at the lower resolution."""
        size = max(1, known.shape[1] // factor), max(1, known.shape[0] // factor)
        inside = _reduced(known.astype(np.float32), size) > 0.99
        if not inside.any():
            return None
        brightness = np.where(inside, _reduced(light, size), 0).astype(np.float32)
        shape = fft.next_fast_len(2 * size[1], True), fft.next_fast_len(2 * size[0], True)
        planes = (inside.astype(np.float32), brightness, brightness**2)
        share, luma, square = (fft.rfft2(plane, shape) for plane in planes)
        variance = max(float(brightness[inside].var()), 1e-6)
        return cls(known, factor, size, shape, share, luma, square, inside, brightness, variance)


def _best_shift(
    values: NDArray[np.float32],
    luma: NDArray[np.float32],
    source: _Source,
    done: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    metre: float,
    cost: NDArray[np.float32],
    settings: ShiftSettings,
) -> tuple[int, int] | None:
    """The shift (rows, columns) that fills most of the hole and agrees best around it, of which ``cost`` (rows,
    columns) are what shifts take off whatever the hole.
    """
    size, shape = source.size, source.shape
    small = _reduced(luma, size)
    missing = _reduced(hole.astype(np.float32), size) > 0.25
    solid = _reduced(done.astype(np.float32), size) > 0.99
    side = 2 * max(1, round(settings.ring * metre / source.factor)) + 1
    ring = (cv2.dilate(missing.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & solid
    if not missing.any():
        return None
    at_ring = np.where(ring, small, 0).astype(np.float32)
    t_hole, t_ring, t_at_ring, t_ring2 = (
        np.conj(fft.rfft2(plane.astype(np.float32), shape)) for plane in (missing, ring, at_ring, at_ring**2)
    )
    overlap = fft.irfft2(t_ring * source.share, shape)
    error = fft.irfft2(t_ring2 * source.share - 2 * t_at_ring * source.luma + t_ring * source.square, shape)
    cover = fft.irfft2(t_hole * source.share, shape) / np.float32(missing.sum())
    agreement = np.minimum(error / np.maximum(overlap, 1) / np.float32(2 * source.variance), settings.worst)
    agreement[overlap <= settings.least_overlap * max(int(ring.sum()), 1)] = settings.worst
    score = cover - np.float32(settings.mismatch) * agreement - cost
    score[cover < settings.least_gain] = -np.inf
    best = int(score.argmax())
    row, column = divmod(best, shape[1])
    if not np.isfinite(score[row, column]):
        return None
    near = done & _near(hole, source.factor * (side - 1) + 1)
    rows, columns = _signed(shape[0]), _signed(shape[1])
    return _refined(values, source.known, near, source.factor, (int(rows[row]), int(columns[column])))


def _signed(count: int) -> NDArray[np.int64]:
    """The shifts (count,) that the places of a Fourier transform stand for."""
    half = count // 2
    return (np.arange(count) + half) % count - half


def _shift_costs(source: _Source, metre: float, settings: ShiftSettings) -> NDArray[np.float32]:
    """What (rows, columns) shifts take off: those by which what is copied from does not agree with itself, those along
    the body, and infinitely those that are too short; ``metre``: in pixels of the search.
    """
    rows, columns = _signed(source.shape[0])[:, None], _signed(source.shape[1])
    cost = settings.off_pitch * _unlike_itself(source, settings)
    cost += settings.vertical * np.abs(rows) / (settings.vertical_unit * metre)
    cost[np.hypot(rows, columns) < settings.least_shift * metre] = np.inf
    return np.asarray(cost, np.float32)


def _unlike_itself(source: _Source, settings: ShiftSettings) -> NDArray[np.float32]:
    """How little (rows, columns) what is copied from agrees with itself at every shift: the shifts of a pattern by its
    pitch are those that agree. In units of twice its variance, at most 1.
    """
    inside, shape = source.inside, source.shape
    luma = np.where(inside, source.brightness - source.brightness[inside].mean(), 0)
    one, first, second = source.share, fft.rfft2(luma, shape), fft.rfft2(luma**2, shape)
    overlap = fft.irfft2(np.conj(one) * one, shape)
    error = fft.irfft2(np.conj(second) * one - 2 * np.conj(first) * first + np.conj(one) * second, shape)
    unlike = np.clip(error / np.maximum(overlap, 1) / (2 * source.variance), 0, 1)
    # what hardly overlaps tells nothing
    told = overlap > settings.least_overlap * 0.5 * inside.sum()
    return np.where(told, unlike, 1).astype(np.float32)


def _reduced(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _near(hole: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    grown: NDArray[np.bool_] = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return grown


def _refined(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    ring: NDArray[np.bool_],
    factor: int,
    reduced: tuple[int, int],
) -> tuple[int, int]:
    """The shift at full resolution, of those that are ``reduced`` at a resolution lower by ``factor``, that agrees best
    in the ring.
    """
    shift = factor * reduced[0], factor * reduced[1]
    reach = range(-(factor // 2), factor // 2 + 1)
    row, column = (places[:: max(1, len(places) // _COMPARED)] for places in np.nonzero(ring))
    if not len(row):
        return shift
    best, least = shift, np.inf
    height, width = known.shape
    row, column = row.astype(np.int32), column.astype(np.int32)
    colours, flat = np.ascontiguousarray(values).reshape(-1, 3), known.ravel()
    own = np.take(colours, row * width + column, axis=0)
    for down in reach:
        y = row + (shift[0] + down)
        for right in reach:
            x = column + (shift[1] + right)
            inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
            place = y[inside] * width + x[inside]
            there = np.flatnonzero(np.take(flat, place))
            if not len(there):
                continue
            step = np.take(own, inside[there], axis=0) - np.take(colours, place[there], axis=0)
            error = float(np.vdot(step, step)) / len(there)
            if error < least:
                best, least = (shift[0] + down, shift[1] + right), error
    return best


def _copy_shifted(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    shift: tuple[int, int],
    done: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    factor: int,
    metre: float,
    settings: ShiftSettings,
) -> None:
    """Fill what of the hole (h, w) a shift reaches with what is known (h, w) there, in ``values`` (h, w, 3), and mark
    it as ``done`` (h, w).
    """
    height, width = known.shape
    row, column = np.nonzero(hole)
    y, x = row + shift[0], column + shift[1]
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    there[there] = known[y[there], x[there]]
    if not there.any():
        return
    row, column, y, x = row[there], column[there], y[there], x[there]
    # the step at its edge, in a box around it that is no larger than it must be
    margin = 4 * factor * (1 + round(settings.joined * metre / factor))
    top, left = (max(int(place.min()) - margin, 0) // factor * factor for place in (row, column))
    bottom, right = min(int(row.max()) + margin, height), min(int(column.max()) + margin, width)
    box = np.s_[top:bottom, left:right]
    new = np.zeros((bottom - top, right - left), bool)
    new[row - top, column - left] = True
    moved, reached = _moved(values, known, shift, (left, top), (right - left, bottom - top))
    step = _membrane(values[box] - moved, done[box] & reached, new, factor, metre, settings)
    values[row, column] = values[y, x] + step[row - top, column - left]
    done[row, column] = True


def _moved(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    shift: tuple[int, int],
    corner: tuple[int, int],
    size: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values at x + shift, and where these are known, in a box of a ``size`` (columns, rows) at a ``corner``."""
    matrix = np.array([[1, 0, shift[1] + corner[0]], [0, 1, shift[0] + corner[1]]], np.float32)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(values, matrix, size, flags=flags)
    there = cv2.warpAffine(known.astype(np.uint8), matrix, size, flags=flags) > 0
    return np.asarray(moved, np.float32), there


def _membrane(
    difference: NDArray[np.float32],
    told: NDArray[np.bool_],
    new: NDArray[np.bool_],
    factor: int,
    metre: float,
    settings: ShiftSettings,
) -> NDArray[np.float32]:
    """The step (h, w, 3) at the edge of ``new`` (h, w), spread smoothly over it, at a resolution lower by
    ``factor``.
    """
    height, width = new.shape
    size = max(1, width // factor), max(1, height // factor)
    deviation = settings.joined * metre
    edge = (_near(new, 2 * max(1, round(deviation)) + 1) & told).astype(np.float32)
    if not edge.any():
        return np.zeros_like(difference)
    step = np.clip(difference, -settings.largest_step, settings.largest_step)
    step, share = _reduced(step * edge[..., None], size), _reduced(edge, size)
    there = (share > 0).astype(np.float32)
    blur = (0, 0), max(deviation / factor, 0.3)
    step = np.asarray(cv2.GaussianBlur(step, *blur), np.float32)
    share = np.asarray(cv2.GaussianBlur(share, *blur), np.float32)
    step /= np.maximum(share, 1e-6)[..., None]
    spread = push_pull(step, there)[0]
    return np.asarray(cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _mirrored_rows(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    asked: NDArray[np.int64],
    metre: float,
    settings: ShiftSettings,
) -> NDArray[np.float32]:
    """Every pixel (R, w, 3) of the rows ``asked`` (R,) from its row's nearest known runs, to and fro inside them; rows
    without any from the nearest that has some.
    """
    rows = np.flatnonzero(known.any(1))
    nearest = rows[np.abs(asked[:, None] - rows).argmin(1)]
    known, values = known[nearest], values[nearest]
    height, width = known.shape
    column = np.broadcast_to(np.arange(width), known.shape)
    padded = np.pad(known, ((0, 0), (1, 1)))
    starts, ends = padded[:, 1:-1] & ~padded[:, :-2], padded[:, 1:-1] & ~padded[:, 2:]
    last_end = np.maximum.accumulate(np.where(ends, column, -1), 1)
    last_start = np.maximum.accumulate(np.where(starts, column, -1), 1)
    next_start = np.minimum.accumulate(np.where(starts, column, width)[:, ::-1], 1)[:, ::-1]
    next_end = np.minimum.accumulate(np.where(ends, column, width)[:, ::-1], 1)[:, ::-1]
    line = np.arange(height)[:, None]
    total, result = np.zeros((height, width), np.float32), np.zeros_like(values)
    for near, far, sign in ((last_end, last_start, -1), (next_start, next_end, 1)):
        there = (near >= 0) & (near < width)
        length = np.where(there, np.abs(far - near) + 1, 1)
        distance = np.where(there, np.abs(column - near), 1)
        step = (distance - 1) % (2 * length)
        step = np.where(step < length, step, 2 * length - 1 - step)
        at = np.clip(near + sign * step, 0, width - 1)
        amount = smoothstep(length / metre, *settings.run)
        weight = np.where(there, np.exp(-distance / (settings.hand_over * metre)) + 1e-12, 0)
        result += values[line, at] * (weight * amount)[..., None]
        total += weight
    blended: NDArray[np.float32] = (result / np.maximum(total, 1e-12)[..., None]).astype(np.float32)
    return blended

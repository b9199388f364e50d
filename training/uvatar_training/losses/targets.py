"""Training targets of the Mesh Predictor: the centre of each person, and heatmaps of centres and joints (ROMP 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvatar.mesh_predictor.maps import MAP_SIDE
from uvatar_training.networks.decoding import TorchCenters, find_centers

# Kernel radius in map cells: at least 2, increasing with half the diagonal of the person's box.
RADIUS_BASE, RADIUS_PER_DIAGONAL = 2, 4
REPULSION = 0.2
NEAR = 0.25  # centres that are closer than this (-1..1 across the picture) may be pushed apart


@dataclass(frozen=True)
class Matches:
    """Predicted people, matched with true ones.

    Attributes:
        centers: M predicted centres.
        person: (M,) index of the true person for each centre.
    """

    centers: TorchCenters
    person: Tensor


def body_centers(joints: Tensor, visible: Tensor, torso: Tensor) -> Tensor:
    """Mean of the visible torso joints, or of all visible joints if no torso joint is visible.

    Args:
        joints: (N, J, 2) in -1..1 across the padded square.
        visible: (N, J) bool.
        torso: (J,) bool, true for neck, shoulders, hips and pelvis.

    Returns:
        (N, 2); NaN for a person without a visible joint.
    """
    use = visible & torso
    use = torch.where(use.any(1, keepdim=True), use, visible)
    weight = use.to(joints.dtype)[..., None]
    return (joints * weight).sum(1) / weight.sum(1)


def kernel_radii(joints: Tensor, visible: Tensor) -> Tensor:
    """Integer kernel radii (N,) in map cells, 2 to 7, larger for larger people.

    Args:
        joints: (N, J, 2) in -1..1 across the padded square.
        visible: (N, J) bool.
    """
    half_diagonal = (extents(joints, visible) / 2).clamp(0, 1).norm(dim=-1)
    radii: Tensor = (half_diagonal * RADIUS_PER_DIAGONAL + RADIUS_BASE).floor().long()
    return radii


def extents(joints: Tensor, visible: Tensor) -> Tensor:
    """Extents (N, 2) of each person's visible joints in x and y; -inf for a person without visible joints.

    Args:
        joints: (N, J, 2) in -1..1 across the padded square.
        visible: (N, J) bool.
    """
    big = torch.where(visible[..., None], joints, torch.full_like(joints, -torch.inf)).amax(1)
    small = torch.where(visible[..., None], joints, torch.full_like(joints, torch.inf)).amin(1)
    return big - small


def repel(centers: Tensor, radii: Tensor, visible_count: Tensor) -> Tensor:
    """Push apart the centres of people who hide each other, to keep their peaks apart (ROMP's collision-aware centres).

    Every person closer than `NEAR` to the nearest neighbour that is at least as visible moves away from it along the
    line between their centres if their kernels overlap; each pair is treated once. If two centres coincide, the offset
    is along the diagonal of a 1e-4 epsilon as published, with its sign chosen to separate them.

    Args:
        centers: (N, 2) in -1..1, people of one picture.
        radii: (N,) map cells.
        visible_count: (N,) number of visible joints.

    Returns:
        (N, 2), inside the picture.
    """
    moved = centers.clone()
    if len(centers) < 2:
        return moved
    distance = torch.cdist(centers, centers)
    distance.fill_diagonal_(torch.inf)
    nearest = distance.argmin(1)
    done: set[frozenset[int]] = set()
    for a in range(len(centers)):
        b = int(nearest[a])
        apart = float((moved[a] - moved[b]).norm())
        pair = frozenset((a, b))
        if pair in done or distance[a, b] >= NEAR or visible_count[b] < visible_count[a]:
            continue
        done.add(pair)
        needed = (float(radii[a]) + float(radii[b]) + 1) / MAP_SIDE * 2
        if apart >= needed:
            continue
        direction = moved[b] - moved[a] + 1e-4
        offset = (needed - apart) / max(apart, 1e-4) * direction * REPULSION
        moved[a] = moved[a] - offset / 2
        moved[b] = moved[b] + offset / 2
    return moved.clamp(-1 + 0.04, 1 - 0.04)


def center_heatmap(centers: Tensor, radii: Tensor) -> Tensor:
    """A heatmap (1, 64, 64) with a Gaussian of sigma (2 r + 1) / 6 per person, exactly 1 at the centre.

    Where Gaussians overlap, the larger value counts.

    Args:
        centers: (N, 2) in -1..1 across the padded square.
        radii: (N,) map cells.
    """
    heatmap = torch.zeros(MAP_SIDE, MAP_SIDE, dtype=torch.float32, device=centers.device)
    axis = torch.arange(MAP_SIDE, device=centers.device)
    cells = center_cells(centers)
    for (x, y), radius in zip(cells.tolist(), radii.tolist(), strict=True):
        dx, dy = axis[None] - x, axis[:, None] - y
        sigma = (2 * radius + 1) / 6
        peak = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
        inside = (dx.abs() <= radius) & (dy.abs() <= radius)
        heatmap = torch.maximum(heatmap, torch.where(inside, peak, torch.zeros_like(peak)))
    return heatmap[None]


def joint_heatmaps(joints: Tensor, visible: Tensor, picture: Tensor, pictures: int) -> Tensor:
    """Heatmaps of all people's joints: a Gaussian with a sigma of one cell around each joint.

    Args:
        joints: (N, J, 2) in -1..1 across the padded square.
        visible: (N, J) bool.
        picture: (N,) index of each person's picture.
        pictures: number of pictures.

    Returns:
        (pictures, J, 64, 64), 1 where a joint is at the middle of a cell; where Gaussians overlap, the larger value.
    """
    middles = torch.arange(MAP_SIDE, device=joints.device) + 0.5
    x, y = (torch.exp(-((middles - ((joints[..., k, None] + 1) / 2 * MAP_SIDE)) ** 2) / 2) for k in (0, 1))
    peaks = torch.where(visible[..., None, None], y[..., :, None] * x[..., None, :], 0)
    nobody = torch.zeros_like(peaks[:1])
    return torch.stack([torch.cat([nobody, peaks[picture == number]]).amax(0) for number in range(pictures)])


def center_cells(centers: Tensor) -> Tensor:
    """The cells (N, 2), x and y, of the 64x64 map that contain ``centers`` (N, 2) in -1..1."""
    return ((centers + 1) / 2 * MAP_SIDE).long().clamp(0, MAP_SIDE - 1)


def match(center: Tensor, true_centers: Tensor, picture: Tensor, threshold: float = 0.2) -> Matches:
    """Match every true person with the nearest predicted centre of its picture.

    The published code trains the parameters only where centres are already predicted, so only the heatmap learns in the
    first steps. Here a person whose nearest prediction is further away than a kernel is sampled at its own true cell
    instead, where the heatmap is trained to peak. Every person therefore contributes from the first step.

    Args:
        center: (B, 1, 64, 64) predicted heatmap.
        true_centers: (N, 2) in -1..1.
        picture: (N,) index of each person's picture.
        threshold: least value of a predicted centre.
    """
    found = find_centers(center, threshold)
    cells = center_cells(true_centers)
    place = cells[:, 1] * MAP_SIDE + cells[:, 0]
    if len(found.place):
        distance = torch.cdist(cells.float(), found.xy.float())
        distance = distance.masked_fill(picture[:, None] != found.picture[None], torch.inf)
        best, index = distance.min(1)
        place = torch.where(best <= RADIUS_BASE, found.place[index], place)
    return Matches(
        TorchCenters(picture, place, center.flatten(1)[picture, place]),
        torch.arange(len(picture), device=picture.device),
    )

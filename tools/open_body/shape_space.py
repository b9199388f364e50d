"""A linear shape space: stature, body mass index, then principal components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tools.open_body.source import ADULT_AGE, Array, Shapes
from uvatar.body.data import BodyData, ShapePrior
from uvatar.body.measure import measure
from uvatar.data.joints import JOINT_NAMES

DENSITY = 1010.0  # kg per cubic metre of the closed surface
# Measures that components are named after, and how to compute them from joints and girths.
COMPONENT_NAMES = (
    "trunk length",
    "thigh length",
    "shin length",
    "arm length",
    "shoulder width",
    "chest girth",
    "waist girth",
    "hip girth",
)


def volume(vertices: Array, faces: NDArray[np.int32]) -> Array:
    """Volume (N,) of closed meshes (N, V, 3), cubic metres."""
    result = np.empty(len(vertices))
    for n, v in enumerate(vertices):
        a, b, c = v[faces[:, 0]], v[faces[:, 1]], v[faces[:, 2]]
        result[n] = np.einsum("fc,fc->", a, np.cross(b, c)) / 6
    return result


@dataclass(frozen=True)
class ShapeSpace:
    """A linear shape space: vertices = template + directions @ betas, in metres."""

    template: Array  # (V, 3)
    directions: Array  # (V, 3, 10)
    names: tuple[str, ...]
    stature_unit: float  # metres per unit of beta 0
    vertex_weight: Array  # (V,) metric of the fits

    def fit(self, vertices: Array) -> Array:
        """Betas (N, 10) of bodies (N, V, 3), by area-weighted least squares."""
        root = np.sqrt(self.vertex_weight)[:, None]
        system = (self.directions * root[..., None]).reshape(-1, self.directions.shape[-1])
        target = ((vertices - self.template) * root).reshape(len(vertices), -1)
        betas: Array = np.linalg.lstsq(system, target.T, rcond=None)[0].T
        return betas

    def rebuild(self, betas: Array) -> Array:
        """Vertices (N, V, 3) of betas (N, 10)."""
        vertices: Array = self.template + np.einsum("vck,nk->nvc", self.directions, betas)
        return vertices


@dataclass(frozen=True)
class _Scale:
    """Means over adults, and units, of stature (metres) and log BMI.

    The units are standard deviations over a population with uniformly distributed ages from 3 to 90; children are
    therefore within a few units.
    """

    stature: float
    log_bmi: float
    unit_stature: float
    unit_log_bmi: float
    faces: NDArray[np.int32]

    def of(self, vertices: Array) -> Array:
        """Stature and log BMI (2,) of one body (V, 3), in units."""
        height = np.ptp(vertices[:, 1])
        log_bmi = np.log(DENSITY * volume(vertices[None], self.faces)[0] / height**2)
        return np.array([(height - self.stature) / self.unit_stature, (log_bmi - self.log_bmi) / self.unit_log_bmi])

    def change(self, template: Array, direction: Array, step: float) -> Array:
        """Change (2,) of both per unit of a direction, measured with ``step`` of it near the template."""
        return (self.of(template + step * direction) - self.of(template - step * direction)) / (2 * step)


def shape_space(bodies: Array, shapes: Shapes, faces: NDArray[np.int32], mirror: NDArray[np.int32]) -> ShapeSpace:
    """The shape space: stature, log BMI and eight principal components of the remaining variation.

    The directions of stature and BMI are partial effects over adults with constant gender, age and muscle. Neither
    changes gender, and short adults do not look like children: children's proportions are a separate component.
    """
    count = bodies.shape[1]
    stature = np.ptp(bodies[..., 1], axis=1)
    log_bmi = np.log(DENSITY * volume(bodies, faces) / stature**2)
    adult = shapes.age >= ADULT_AGE
    people = np.where(adult, (90 - ADULT_AGE) / adult.sum(), (ADULT_AGE - 3) / (~adult).sum())
    units = [float(np.sqrt(np.cov(values, aweights=people))) for values in (stature, log_bmi)]
    scale = _Scale(stature[adult].mean(), log_bmi[adult].mean(), units[0], units[1], faces)
    s, b = (stature - scale.stature) / scale.unit_stature, (log_bmi - scale.log_bmi) / scale.unit_log_bmi
    template, tall, heavy = _partial_effects(bodies, shapes, s, b, mirror)
    corner = template[faces]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    vertex_weight = np.bincount(faces.ravel(), np.repeat(area / 3, 3), count).astype(np.float64)

    # Near the template, one unit of beta 0 is exactly one unit of stature at constant BMI, and the reverse for beta 1.
    gradient = np.stack([scale.change(template, direction, 0.2) for direction in (tall, heavy)], 1)
    exact = np.einsum("vck,kj->vcj", np.stack([tall, heavy], -1), np.linalg.inv(gradient))
    tall, heavy = exact[..., 0], exact[..., 1]
    print(
        f"template: {np.ptp(template[:, 1]):.3f} m, BMI {np.exp(scale.log_bmi):.1f}; units {scale.unit_stature:.3f} m, "
        f"{scale.unit_log_bmi:.3f} log BMI"
    )
    residual = bodies - template - s[:, None, None] * tall - b[:, None, None] * heavy
    components = _components(residual, shapes, vertex_weight, mirror)
    # Other components must change neither stature nor BMI: their effect near the template is removed.
    for k in range(components.shape[-1]):
        effect = scale.change(template, components[..., k], 0.02 / np.abs(components[..., k]).max())
        components[..., k] -= effect[0] * tall + effect[1] * heavy
    directions = np.concatenate([np.stack([tall, heavy], -1), components], -1)
    betas = ShapeSpace(template, directions, (), float(scale.unit_stature), vertex_weight).fit(bodies)
    spread = np.sqrt(np.diag(np.cov(betas.T, aweights=people)))
    spread[:2] = 1
    names = ("stature", "body mass index", "gender", "maturity", *(f"component {k}" for k in range(1, 7)))
    directions = directions * spread * _signs(betas / spread, shapes)
    return ShapeSpace(template, directions, names, float(scale.unit_stature), vertex_weight)


def _partial_effects(
    bodies: Array, shapes: Shapes, stature: Array, log_bmi: Array, mirror: NDArray[np.int32]
) -> tuple[Array, Array, Array]:
    """(V, 3) the mean adult, and what a unit of stature and of log BMI (N,) change at equal gender, age and muscle."""
    adult = shapes.age >= ADULT_AGE
    age, muscle = (shapes.age - shapes.age[adult].mean()) / 20, shapes.muscle - shapes.muscle[adult].mean()
    columns = [np.ones(len(stature)), stature, log_bmi, shapes.gender - 0.5, age, muscle]
    flat = bodies.reshape(len(bodies), -1)
    solution = np.linalg.lstsq(np.stack(columns, 1)[adult], flat[adult], rcond=None)[0].reshape(-1, *bodies.shape[1:])
    template, tall, heavy = (_symmetric(part, mirror) for part in solution[:3])
    return template, tall, heavy


def _components(residual: Array, shapes: Shapes, vertex_weight: Array, mirror: NDArray[np.int32]) -> Array:
    """(V, 3, 8) symmetric directions of what stature and BMI leave of the bodies (N, V, 3)."""
    count = residual.shape[1]
    adult = shapes.age >= ADULT_AGE
    both = np.concatenate([residual, residual[:, mirror] * [-1, 1, 1]])  # a symmetric space
    # Children are a fifth of the years but a third of the weight.
    group = np.where(adult, 0.65 / adult.sum(), 0.35 / (~adult).sum())
    metric = np.sqrt(np.repeat(vertex_weight, 3))
    flat = both.reshape(len(both), -1)
    vectors = _principal(flat * (np.sqrt(np.concatenate([group, group]))[:, None] * metric), 8)
    scores = flat * metric @ vectors.T
    vectors = _named_axes(scores[: len(residual)], shapes) @ vectors
    components = (vectors / metric).reshape(-1, count, 3)
    return np.stack([_symmetric(component, mirror) for component in components], -1)


def _signs(betas: Array, shapes: Shapes) -> Array:
    """Signs (10,), 1 or -1, that make beta 2 more feminine and beta 3 more adult; `named` sets the other signs."""
    facts = np.stack([shapes.gender, np.minimum(shapes.age, ADULT_AGE), shapes.muscle], 1)
    correlation = np.corrcoef(betas.T, facts.T)[:10, 10:]
    sign = np.where(np.concatenate([[1, 1], correlation[[2, 3], [0, 1]], correlation[4:, 2]]) < 0, -1.0, 1.0)
    print("correlation of the betas with gender, age, muscle:\n", (correlation * sign[:, None]).round(2))
    return sign


def _named_axes(scores: Array, shapes: Shapes) -> Array:
    """Axes (8, 8), in the coordinates of the principal components, for gender, maturity and six others.

    They span the same space. The first two are the effects of gender and childhood at equal stature and BMI, the others
    the principal components of the remaining variation.

    Args:
        scores: (N, 8) coordinates of the sampled bodies.
        shapes: the sampled bodies.
    """
    childhood = np.clip((ADULT_AGE - shapes.age) / ADULT_AGE, 0, 1)
    adult = childhood == 0
    design = np.stack([np.ones(len(scores)), shapes.gender - 0.5], 1)
    gender = np.linalg.lstsq(design[adult], scores[adult], rcond=None)[0][1]
    left = scores - design[:, 1:] * gender
    child = np.linalg.lstsq(np.stack([np.ones(len(left)), childhood], 1), left, rcond=None)[0][1]
    named = np.stack([gender / np.linalg.norm(gender), child / np.linalg.norm(child)])
    basis, _ = np.linalg.qr(named.T)
    left = scores - scores @ basis @ basis.T
    return np.concatenate([named, _principal(left, 6)])


def _symmetric(field: Array, mirror: NDArray[np.int32]) -> Array:
    return (field + field[mirror] * [-1, 1, 1]) / 2


def _principal(rows: Array, count: int) -> Array:
    """The unit directions (count, D) of the largest variances about zero of rows (N, D)."""
    if rows.shape[1] <= len(rows):
        return np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :count].T
    values, vectors = np.linalg.eigh(
        rows @ rows.T
    )  # there are fewer rows than dimensions, so the Gram matrix is smaller
    components: Array = (vectors[:, ::-1][:, :count].T @ rows) / np.sqrt(values[::-1][:count, None])
    return components


def prior(betas: Array) -> ShapePrior:
    """Mean and covariance of betas (N, 10), with a tenth of a unit added to keep rare shapes possible."""
    covariance = np.cov(betas.T) * 1.1 + 0.01 * np.eye(betas.shape[1])
    return ShapePrior(betas.mean(0).astype(np.float32), covariance.astype(np.float32))


def report(space: ShapeSpace, bodies: Array, shapes: Shapes, joints: sparse.csr_matrix, weights: Array) -> None:
    """Print how well ten betas describe bodies from which the space was not made."""
    betas = space.fit(bodies)
    rebuilt = space.rebuild(betas)
    error = 1000 * np.linalg.norm(rebuilt - bodies, axis=-1)
    head = weights[:, JOINT_NAMES.index("head")] > 0.9
    ankle, hip = (joints[JOINT_NAMES.index(f"left_{name}")].toarray()[0] for name in ("ankle", "hip"))
    lengths: dict[str, Callable[[Array], Array]] = {
        "stature": lambda v: np.ptp(v[..., 1], axis=1),
        "head": lambda v: np.ptp(v[:, head, 1], axis=1),
        "leg": lambda v: (v[..., 1] @ hip) - (v[..., 1] @ ankle),
    }
    for low, high in ((3, 5), (5, 10), (10, 18), (18, 90)):
        group = (shapes.age >= low) & (shapes.age < high)
        e = error[group]
        off = {name: 1000 * np.abs(length(rebuilt) - length(bodies))[group].mean() for name, length in lengths.items()}
        print(
            f"held out, {low}-{high} years (n {group.sum()}): vertices mean {e.mean():.1f} mm, p95 "
            f"{np.percentile(e, 95):.1f};",
            end=" ",
        )
        print("mean error in mm of", ", ".join(f"{name} {value:.1f}" for name, value in off.items()))
        print("   betas: mean", betas[group].mean(0).round(2), "sd", betas[group].std(0).round(2))


def named(data: BodyData) -> BodyData:
    """Name each component after the measure that it changes most, in per cent, with a sign that makes positive betas
    increase it.
    """

    def read(betas: Array) -> Array:
        joints = dict(zip(JOINT_NAMES, data.joint_template + data.joint_shapedirs @ betas, strict=True))
        taken = measure(data, betas)
        chains = (("pelvis", "neck"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"))
        lengths = [100 * np.linalg.norm(joints[a] - joints[b]) for a, b in chains]
        return np.array([*lengths, *(taken[name] for name in ("arm", "shoulder_width", "chest", "waist", "hip"))])

    names, sign = list(data.beta_names), np.ones(10, np.float32)
    for k in range(names.index("component 1"), 10):
        change = np.log(read(2 * np.eye(10)[k]) / read(-2 * np.eye(10)[k]))
        free = np.array([name not in names for name in COMPONENT_NAMES])
        most = int(np.argmax(np.abs(change) * free))
        names[k], sign[k] = COMPONENT_NAMES[most], np.sign(change[most])
    print("betas:", ", ".join(names))
    priors = {
        group: ShapePrior(p.mean * sign, p.covariance * np.outer(sign, sign)) for group, p in data.shape_prior.items()
    }
    return replace(
        data,
        shapedirs=data.shapedirs * sign,
        joint_shapedirs=data.joint_shapedirs * sign,
        landmark_shapedirs=data.landmark_shapedirs * sign,
        beta_names=tuple(names),
        shape_prior=priors,
    )

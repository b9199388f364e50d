"""Files are checked by Khronos' validator, three.js and its VRM loader; skinning is compared with NumPy's."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pygltflib
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.blender_addon.sample import encoded
from tests.parts import made_part
from uvatar.gltf.avatar import glb
from uvatar.gltf.presets import PRESETS, chosen_presets
from uvatar.gltf.roughness import roughness_texture
from uvatar.gltf.surface import body_at_rest, part_at_rest
from uvatar.gltf.tangents import tangents
from uvatar.protocol.bone_names import Naming, joint_names
from uvatar.protocol.expressions import EXPRESSIONS, VISEMES
from uvatar.protocol.parts import part_entry
from uvatar.protocol.rig import RIG_NAMES
from uvatar.protocol.surface_kinds import USUAL_ROUGHNESS as ROUGHNESS

Read = Callable[..., dict[str, Any]]


def plain(issues: Mapping[str, Any]) -> list[str]:
    """What the validator complains about, but for extensions that it does not know."""
    return [issue["message"] for issue in issues["messages"] if issue["code"] != "UNSUPPORTED_EXTENSION"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_files_are_valid_and_hold_every_bone_and_key(person: dict[str, Any], read: Read, preset: Any) -> None:
    answer = read(person, preset)
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
    body, teeth = answer["meshes"]["Body"], answer["meshes"]["Teeth"]
    assert len(answer["bones"]) == 55 + 12 * preset.helper_bones and body["textured"] and body["material"] == "Avatar"
    assert set(EXPRESSIONS) <= set(body["targets"])
    assert {"jawOpen", "tongueOut"} <= set(teeth["targets"]) and teeth["transparent"] and teeth["material"] == "Enamel"


def test_a_file_in_the_manner_of_ready_player_me(person: dict[str, Any], read: Read) -> None:
    answer = read(person, PRESETS["ready-player-me"])
    assert {"Hips", "LeftArm", "RightHandIndex1", "LeftHandThumb3", "LeftEye"} <= set(answer["bones"])
    wanted = {*EXPRESSIONS, *VISEMES, "mouthOpen", "eyesClosed"}
    assert wanted <= set(answer["meshes"]["Body"]["targets"])
    assert answer["bones"]["LeftArm"][0] > 0.1 > answer["bones"]["LeftArm"][2]  # y up, facing +z: left is +x


def test_a_vrm_model_is_understood(person: dict[str, Any], read: Read) -> None:
    vrm = read(person, PRESETS["vrm"])["vrm"]
    assert vrm["version"] == "1" and vrm["looks"]
    assert set(vrm["bones"]) == set(joint_names(Naming.VRM, 55))
    assert {"happy", "angry", "sad", "relaxed", "surprised", "aa", "ih", "ou", "ee", "oh", "blink", "blinkLeft",
            "jawOpen", "tongueOut"} <= set(vrm["expressions"])  # fmt: skip


def test_posed_and_speaking_in_three_js_as_in_numpy(person: dict[str, Any], read: Read) -> None:
    turns = {"left_shoulder": (0.3, -0.4, 0.9), "jaw": (0.2, 0.0, 0.0), "right_index1": (0.0, 0.1, 0.7)}
    weights = {"viseme_aa": 0.8, "mouthSmileLeft": 0.5}
    preset = replace(PRESETS["ready-player-me"], naming="SMPL")
    surface, _ = body_at_rest(person, False)
    chosen = np.random.default_rng(1).choice(len(surface.positions), 400, replace=False)
    chosen = np.union1d(chosen, surface.movements["mouthSmileLeft"].vertices[::20])
    answer = read(person, preset, "Body", turns, weights, [int(vertex) for vertex in chosen])
    keys = {"mouthSmileLeft": 0.5, "jawOpen": 0.8 * VISEMES["viseme_aa"]["jawOpen"]}
    expected = skinned(person, turns, keys)[chosen]
    assert np.abs(np.array(answer["vertices"]) - expected).max() < 1e-4
    still, _ = body_at_rest(person, False)
    assert np.abs(expected - still.positions[chosen]).max() > 0.1  # it did move


def skinned(person: dict[str, Any], turns: Mapping[str, Any], keys: Mapping[str, float]) -> NDArray[Any]:
    """Linear blend skinning, bone by bone, in double precision. Euler angles are three.js' (XYZ, intrinsic)."""
    surface, skeleton = body_at_rest(person, False)
    positions = surface.positions.astype(float)
    for name, weight in keys.items():
        positions[surface.movements[name].vertices] += weight * surface.movements[name].deltas
    world = np.zeros((55, 4, 4))
    for joint, name in enumerate(RIG_NAMES):
        parent, own = skeleton.parents[joint], np.eye(4)
        own[:3, :3] = Rotation.from_euler("XYZ", turns.get(name, (0, 0, 0))).as_matrix()
        own[:3, 3] = skeleton.heads[joint] - (skeleton.heads[parent] if parent >= 0 else 0)
        world[joint] = own if parent < 0 else world[parent] @ own
    result = np.zeros_like(positions)
    for joint in range(55):
        share = (surface.weights * (surface.joints == joint)).sum(1)
        local = positions - skeleton.heads[joint]
        result += share[:, None] * (local @ world[joint, :3, :3].T + world[joint, :3, 3])
    return result


def test_it_stands_on_the_ground_and_is_textured_where_the_body_is(person: dict[str, Any]) -> None:
    surface, skeleton = body_at_rest(person, True)
    assert abs(surface.positions[:, 1].min()) < 1e-6 and 0.6 < skeleton.heads[0, 1] < 1.2
    assert np.allclose(surface.weights.sum(1), 1, atol=1e-6) and surface.uv is not None
    corners = surface.positions[surface.triangles].astype(float)
    volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.03 < volume < 0.3  # positive: the triangles face outward
    rest = person["template"] + person["shapedirs"] @ person["betas"] + person["offsets"]
    corner = person["triangles"][1234, 1]
    ours = surface.triangles[1234, 1]
    assert np.allclose(surface.positions[ours] + (0, skeleton.ground, 0), rest[corner], atol=1e-5)
    u, v = person["uv"][person["triangle_uv"][1234, 1]]
    assert np.allclose(surface.uv[ours], (u, 1 - v), atol=1e-6)


def test_shape_sliders_move_body_and_parts_alike(person: dict[str, Any]) -> None:
    part = part_at_rest(made_part(), 0.0, person["beta_names"])
    assert np.allclose(part.movements["stature"].deltas[:, 1], 0.05, atol=1e-6)
    body, _ = body_at_rest(person, True)
    assert list(body.movements)[:10] == list(person["beta_names"])


def test_a_body_without_fingers_face_and_texture(person: dict[str, Any], read: Read) -> None:
    bare = {key: value for key, value in person.items() if key not in ("rig", "face", "parts")} | {"texture_png": b""}
    answer = read(bare, PRESETS["gltf"])
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0
    assert len(answer["bones"]) == 24 and not answer["meshes"]["Body"]["textured"]


def test_each_material_has_a_roughness_of_its_own(person: dict[str, Any], read: Read) -> None:
    materials = np.zeros((512, 512), np.uint8)
    materials[:256], materials[256:, :256] = 1, 2
    mapped = {**person, "materials_png": encoded(materials), "material_names": ["skin", "upper 2", "unheard of"]}
    answer = read(mapped, PRESETS["gltf"])
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
    assert answer["meshes"]["Body"]["rough"] == "by texture"
    assert read(person, PRESETS["gltf"])["meshes"]["Body"]["rough"] == pytest.approx(ROUGHNESS)
    with Image.open(io.BytesIO(roughness_texture(mapped["materials_png"], mapped["material_names"]))) as picture:
        red, green, blue = (np.asarray(channel) / 255 for channel in picture.split())
    assert green.shape == (256, 256) and not red.any() and not blue.any()
    assert green[10, 10] < ROUGHNESS < green[250, 10] and green[250, 250] == pytest.approx(ROUGHNESS, abs=0.01)


def test_textures_can_be_webp(person: dict[str, Any], read: Read) -> None:
    names = ("gltf", "vrm", "gltf")
    light, vrm = chosen_presets(names, webp=True)
    answer = read(person, light)
    assert answer["issues"]["numErrors"] == answer["issues"]["numWarnings"] == 0 and not plain(answer["issues"])
    assert answer["meshes"]["Body"]["textured"] and b"RIFF" in glb(person, light, "Anna")
    assert b"RIFF" not in glb(person, vrm, "Anna") and not chosen_presets(names)[0].webp


def test_damaged_parts_are_refused(person: dict[str, Any]) -> None:
    entry = part_entry(made_part())
    with pytest.raises(ValueError, match="Teeth"):
        glb({**person, "parts": [{**entry, "faces": entry["faces"] + 1000}]}, PRESETS["gltf"], "Anna")


def test_a_file_is_small(person: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    size = len(glb({**person, "texture_png": encoded(noise)}, PRESETS["ready-player-me"], "Anna"))
    assert size - len(encoded(noise)) < 3_000_000  # 52 keys and 20 more; the largest texture is 3 MB


def lit(person: dict[str, Any]) -> dict[str, Any]:
    """The person with the photo's light in the left half of the texture, and a normal map."""
    light = np.full((64, 64), 128, np.uint8)
    light[:, :32] = 168
    maps = {"light_png": encoded(light), "normals_png": encoded(np.full((64, 64, 3), (150, 128, 253), np.uint8))}
    return {**person, "texture_png": encoded(np.full((64, 64, 3), 100, np.uint8)), **maps}


def colours_of(data: bytes) -> NDArray[np.uint8]:
    """The base colour in a file."""
    content = pygltflib.GLTF2.load_from_bytes(data)
    material = next(one for one in content.materials if one.name == "Avatar")
    image = content.images[content.textures[material.pbrMetallicRoughness.baseColorTexture.index].source]
    view = content.bufferViews[image.bufferView]
    blob = content.binary_blob()
    with Image.open(io.BytesIO(blob[view.byteOffset : view.byteOffset + view.byteLength])) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_engines_get_colours_without_the_photos_light_unless_told_otherwise(
    person: dict[str, Any], preset: Any
) -> None:
    even = colours_of(glb(lit(person), preset, "Anna"))
    assert even[32, 48, 0] == 100 and even[32, 16, 0] < 90
    (other,) = chosen_presets([preset.name], even_light=False)
    assert (colours_of(glb(lit(person), other, "Anna")) == 100).all()


def test_a_normal_map_is_valid_in_every_file(person: dict[str, Any], read: Read) -> None:
    for preset in PRESETS.values():
        answer = read(lit(person), preset)
        assert not plain(answer["issues"]) and answer["meshes"]["Body"]["bumps"]
        assert not answer["meshes"]["Teeth"]["bumps"]


def test_tangents_lie_along_u_and_their_sign_tells_which_way_is_up(person: dict[str, Any]) -> None:
    surface, _ = body_at_rest(person, False)
    assert surface.uv is not None
    found = tangents(surface)
    assert np.allclose(np.linalg.norm(found[:, :3], axis=1), 1, atol=1e-5)
    assert np.abs((found[:, :3] * surface.normals).sum(1)).max() < 1e-4
    a, b, _ = surface.triangles.T
    step, places = surface.positions[b] - surface.positions[a], surface.uv[b] - surface.uv[a]
    up = np.cross(surface.normals, found[:, :3]) * found[:, 3:]
    right = (np.abs(places[:, 0]) > 3 * np.abs(places[:, 1])) & (np.linalg.norm(step, axis=1) > 1e-3)
    above = (np.abs(places[:, 1]) > 3 * np.abs(places[:, 0])) & (np.linalg.norm(step, axis=1) > 1e-3)
    assert (((step * found[a, :3]).sum(1) * places[:, 0])[right] > 0).mean() > 0.9
    assert (((step * up[a]).sum(1) * -places[:, 1])[above] > 0).mean() > 0.9

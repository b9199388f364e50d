"""What a page holds, without a browser; poses and motions; pages of avatars that are already on the disk."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from tests.blender_addon.sample import encoded
from uvatar.body import load_open_body
from uvatar.commands.cli import make_app
from uvatar.files.avatar_folders import delete_avatar, read_avatar
from uvatar.files.export import Exporter
from uvatar.files.pages import avatars_in, page_in
from uvatar.gltf.clips import Figure, figure_of
from uvatar.gltf.presets import PRESETS
from uvatar.protocol.atomic_files import write_atomically
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.rig import LEFT_HAND, RIG_NAMES, RIG_PARENTS
from uvatar.results.present import body_entry
from uvatar.service.batch.record import PhotoOutcome
from uvatar.service.batch.report import write_report
from uvatar.viewer import PAGE, motions
from uvatar.viewer.maps import coloured_labels, material_colours
from uvatar.viewer.page import avatar_page

ROOT = Path(__file__).parents[2]


def embedded(page: str, name: str) -> str:
    found = re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return found[1]


def result_of(person: dict[str, Any], photo: bytes) -> dict[str, Any]:
    pictures = {name: encoded(np.zeros((8, 8, 3), np.uint8)) for name in ("overlay_jpeg", "turntable_png")}
    facts = {"name": "anna.jpg", "digest": "ab" * 32, "width": 8, "height": 8, "jpeg": photo}
    return {"schema": 2, "photo": facts, "camera": {"focal": 9.0, "up": [0, -1, 0]}, "version": "0.2.0",
            "people": [{**person, **pictures, "notes": ["The left hand is hidden."]}]}  # fmt: skip


@pytest.fixture
def folder(person: dict[str, Any], photo: bytes, tmp_path: Path) -> Path:
    """An avatar's folder without a page."""
    [written] = Exporter(tmp_path, glb=[PRESETS["gltf"]]).write(result_of(person, photo))
    assert written.problem is None and not (written.folder / PAGE).exists()
    return written.folder


# -- the page ---------------------------------------------------------------------------------------------------------


def test_a_page_holds_everything_and_refers_to_nothing(person: dict[str, Any], photo: bytes) -> None:
    page = avatar_page(person, "Anna", None, photo)
    avatar = gzip.decompress(base64.b64decode(embedded(page, "avatar")))
    assert avatar.startswith(b"glTF")
    facts = json.loads(embedded(page, "facts"))
    assert [pose["id"] for pose in facts["poses"]] == ["photo", "t", "a", "relaxed"]
    assert {"about", "notes", "photo", "maps", "clips", "talk", "moods", "visemes"} <= set(facts)
    assert facts["maps"][1]["legend"][0]["title"] == "Skin"
    assert facts["moods"]["photo"] == {EXPRESSIONS[24]: 0.4}
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in markup and not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", markup)
    assert "<link" not in markup and "@import" not in markup


def test_names_and_notes_cannot_break_the_page(person: dict[str, Any]) -> None:
    page = avatar_page(person, "</title><script>alert(1)</script>", notes=["</script><b>bold & $facts"])
    assert "<script>alert" not in page and page.count("</script>") == 3
    assert json.loads(embedded(page, "facts"))["notes"] == ["</script><b>bold & $facts"]


def test_the_script_names_what_it_was_built_of() -> None:
    """`make viewer` after a change in tools/viewer."""
    script = (ROOT / "backend" / "uvatar" / "viewer" / "viewer.js").read_text(encoding="utf-8")
    version = json.loads((ROOT / "tools" / "viewer" / "package.json").read_text())["dependencies"]["three"]
    sources = hashlib.sha256()
    for path in sorted((ROOT / "tools" / "viewer" / "src").iterdir(), key=lambda path: path.name):
        sources.update(path.read_text(encoding="utf-8").encode())
    assert f"sources {sources.hexdigest()[:16]}, with three.js {version}" in script[:200]
    assert "The MIT License" in script[:400] and len(script.encode()) < 800_000
    assert "</script" not in script.lower()


def test_a_page_is_small(person: dict[str, Any]) -> None:
    assert len(avatar_page({**person, "texture_png": b""}, "Anna")) < 2_000_000  # the script is a third of it


def test_a_body_without_fingers_face_and_texture(person: dict[str, Any]) -> None:
    left_out = ("rig", "face", "parts", "expression", "source_png", "materials_png")
    bare = {key: value for key, value in person.items() if key not in left_out} | {"texture_png": b""}
    facts = json.loads(embedded(avatar_page(bare, "Anna"), "facts"))
    assert facts["maps"] == [] and "photo" not in facts["moods"] and len(facts["poses"][0]["turns"]) == 22 * 3


def test_labels_become_colours_and_stay_labels() -> None:
    picture = coloured_labels(encoded(np.full((8, 8), 2, np.uint8)))
    assert np.all(np.asarray(picture) == 2) and picture.convert("RGB").getpixel((0, 0)) == (86, 180, 233)
    assert len(set(material_colours(8))) == 9 and len(material_colours(20)) == 21


# -- poses and motions ------------------------------------------------------------------------------------------------


@cache
def rig() -> dict[str, Any]:
    entry: dict[str, Any] = body_entry(load_open_body())["rig"]
    return entry


def placed(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(55, 3) joints of the mean body in a pose (55, 3), axis-angle."""
    heads = np.asarray(rig()["joint_template"], float)
    world, places = Rotation.from_rotvec(pose).as_matrix(), heads.copy()
    for joint, parent in enumerate(RIG_PARENTS):
        if parent >= 0:
            world[joint] = world[parent] @ world[joint]
            places[joint] = places[parent] + world[parent] @ (heads[joint] - heads[parent])
    return places


def joint(name: str) -> int:
    return RIG_NAMES.index(name)


def finger_axes() -> NDArray[np.float32]:
    axes: NDArray[np.float32] = rig()["finger_axes"]
    return axes


@cache
def figure() -> Figure:
    """The mean body's."""
    entry = body_entry(load_open_body())
    made = {"betas": np.zeros(10), "pose": np.zeros((24, 3)), "offsets": np.zeros_like(entry["template"])}
    return figure_of({**entry, **made, "texture_png": b""})


def test_poses_are_what_they_are_called() -> None:
    rest, a, relaxed = (placed(pose(finger_axes())) for pose in (lambda _: motions.rest_pose(), motions.a_pose,
                                                                   motions.relaxed_pose))  # fmt: skip
    wrist, shoulder = joint("left_wrist"), joint("left_shoulder")
    assert abs(rest[wrist, 1] - rest[shoulder, 1]) < 0.08
    slope = np.degrees(np.arctan2(a[shoulder, 1] - a[wrist, 1], a[wrist, 0] - a[shoulder, 0]))
    assert 35 < slope < 55
    assert relaxed[shoulder, 1] - relaxed[wrist, 1] > 0.4
    assert np.allclose(a[wrist] * (-1, 1, 1), a[joint("right_wrist")], atol=0.02)


def test_a_walk_repeats_bends_the_knees_backward_and_swings_arms_against_legs() -> None:
    walk = motions.walk(figure()).poses
    places = np.array([placed(pose) for pose in walk])
    steps = np.linalg.norm(np.diff(places, axis=0, append=places[:1]), axis=-1)
    assert steps[-1].max() < 1.1 * steps[:-1].max() < 0.2  # metres: nothing jumps from the last frame to the first
    assert walk[:, joint("left_knee"), 0].min() > -0.01 and walk[:, joint("left_knee"), 0].max() > 0.9
    left, right = places[:, joint("left_ankle"), 2], places[:, joint("right_ankle"), 2]
    hand = places[:, joint("left_wrist"), 2]
    assert np.corrcoef(left, right)[0, 1] < -0.7 and np.corrcoef(left, hand)[0, 1] < -0.7
    assert np.ptp(left) > 0.4
    soles = np.minimum(places[:, joint("left_foot"), 1], places[:, joint("right_foot"), 1])
    assert np.ptp(soles) < 0.08  # the body rises and falls by little where the page puts the lower sole on the ground


def test_a_wave_raises_the_right_hand_alone() -> None:
    places = np.array([placed(pose) for pose in motions.wave(finger_axes()).poses])
    assert (places[:, joint("right_middle1"), 1] > places[:, joint("head"), 1]).all()
    assert np.ptp(places[:, joint("right_wrist"), 0]) > 0.1
    assert (places[:, joint("left_wrist"), 1] < places[:, joint("spine3"), 1]).all()


def test_speech_opens_and_closes_the_mouth_and_blinks() -> None:
    talk = motions.talk(figure())
    assert talk.weights is not None and talk.weights.min() >= 0 and talk.weights.max() <= 1
    jaw, blink = (talk.weights[:, EXPRESSIONS.index(key)] for key in ("jawOpen", "eyeBlinkLeft"))
    assert jaw.max() > 0.3 and ((jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:])).sum() >= 5
    assert blink.max() > 0.9 and jaw[0] < 0.02 and jaw[-1] < 0.02


def test_fingers_are_relaxed_where_the_body_has_them() -> None:
    assert np.abs(motions.walk(figure()).poses[:, LEFT_HAND]).max() > 0.2
    assert not motions.walk(replace(figure(), finger_axes=None)).poses[:, LEFT_HAND].any()


# -- avatars on the disk ----------------------------------------------------------------------------------------------


def test_exports_write_the_page_and_list_it(person: dict[str, Any], photo: bytes, tmp_path: Path) -> None:
    [written] = Exporter(tmp_path, page=True).write(result_of(person, photo))
    assert written.problem is None and PAGE in written.summary["files"]
    facts = json.loads(embedded((written.folder / PAGE).read_text(encoding="utf-8"), "facts"))
    assert facts["notes"] == ["The left hand is hidden."] and facts["photo"].startswith("data:image/jpeg")


def test_a_page_is_made_of_a_folder_and_deleted_with_it(folder: Path) -> None:
    [avatar] = avatars_in(folder.parent)
    path = page_in(avatar)
    page = path.read_text(encoding="utf-8")
    assert gzip.decompress(base64.b64decode(embedded(page, "avatar"))) == (folder / "avatar.glb").read_bytes()
    facts = json.loads(embedded(page, "facts"))
    assert [one["id"] for one in facts["maps"]] == ["source"] and facts["photo"] is None
    listed = read_avatar(folder)
    assert listed and PAGE in listed.files and listed.files[-1] == "result.json"
    path.write_text("mine")
    assert page_in(listed).read_text() == "mine"  # one that is there is left alone


def test_without_a_glb_the_page_shows_body_and_texture_and_says_what_is_missing(folder: Path) -> None:
    (folder / "avatar.glb").unlink()
    page = page_in(avatars_in(folder)[0]).read_text(encoding="utf-8")
    facts = json.loads(embedded(page, "facts"))
    assert "form of clothes" in facts["notes"][0] and len(page) > 1_000_000


def test_what_cannot_be_shown_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UvatarError, match="no avatar's folder"):
        avatars_in(tmp_path / "elsewhere")
    summary = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    (folder / "avatar.glb").unlink()
    summary["person"]["body_model"] = "smpl-neutral"
    (folder / "result.json").write_text(json.dumps(summary))
    with pytest.raises(UvatarError, match=r"no \.glb file"):
        page_in(avatars_in(folder)[0])
    damages: list[dict[str, Any]] = [{"camera": []}, {"camera": None}, {"person": {}}]
    for damage in damages:
        (folder / "result.json").write_text(json.dumps({**summary, **damage}))
        with pytest.raises(UvatarError, match="damaged"):
            page_in(avatars_in(folder)[0])


def test_the_report_of_a_batch_links_the_pages_that_there_are(folder: Path) -> None:
    outcomes = [PhotoOutcome("anna.jpg", "anna", "", folders=(folder.name,))]
    assert f'href="{folder.name}/"' in write_report(folder.parent, outcomes, 1).read_text(encoding="utf-8")
    page_in(avatars_in(folder)[0])
    assert f'href="{folder.name}/{PAGE}"' in write_report(folder.parent, outcomes, 1).read_text(encoding="utf-8")


def test_a_page_is_listed_before_it_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: Any) -> None:
        if path.name == PAGE:
            raise OSError("No space left on device")
        write_atomically(path, data)

    monkeypatch.setattr("uvatar.files.pages.write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        page_in(avatars_in(folder)[0])
    listed = read_avatar(folder)
    assert listed and PAGE in listed.files and not (folder / PAGE).exists()
    assert delete_avatar(listed) and not folder.exists()


def test_of_several_avatars_none_gets_a_page_unasked(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "another_p0")
    done = CliRunner().invoke(make_app(), ["view", str(folder.parent)])
    assert done.exit_code == 0 and "another_p0" in done.output and folder.name in done.output
    assert not list(folder.parent.rglob(PAGE))


def test_the_command_writes_and_names_the_page(folder: Path) -> None:
    done = CliRunner().invoke(make_app(), ["view", str(folder), "--no-open"])
    assert done.exit_code == 0 and (folder / PAGE).is_file() and PAGE in done.output
    nothing = CliRunner().invoke(make_app(), ["view", str(ROOT / "tools"), "--no-open"])
    assert nothing.exit_code == 1 and "uvatar reconstruct" in nothing.output

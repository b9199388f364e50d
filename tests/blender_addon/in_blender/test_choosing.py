"""Choosing people on the photo, and making one person again: the panel and what its operators send."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from PIL import Image

from tests.blender_addon.fake_pipeline import CROWD, crowd, found
from tests.blender_addon.in_blender.helpers import data_names
from tests.blender_addon.in_blender.test_panels import add_photos, addon, drawn  # noqa: F401 (a fixture)
from tests.blender_addon.sample import encoded
from uvatar_blender.core.any_result import parse_any
from uvatar_blender.core.hand_corrections import Corrections
from uvatar_blender.core.jobs import Job, JobGroup, JobState
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.options import FIND_PEOPLE
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.ui import avatar_panels, choosing, panels
from uvatar_blender.ui.found import picture_file, take


def arrived(addon: Any, job: Job, result: dict[str, Any]) -> None:  # noqa: F811
    """Let a job's result arrive, and import it."""
    addon.session().run = JobGroup([job])
    job.results[0], job.state = parse_any(result), JobState.DONE
    for _ in range(3000):
        if addon.importer().advance() and not job.results:
            return
    raise AssertionError("it was not imported")


@pytest.fixture
def photo(addon: Any, tmp_path: Path) -> Any:  # noqa: F811
    """The photo on the list, with three people found in it."""
    (tmp_path / "me.jpg").write_bytes(b"crowd")
    add_photos(tmp_path, "me.jpg")
    one = bpy.context.scene.uvatar.photos[0]
    arrived(addon, Job("found", (one.file(),), {FIND_PEOPLE: True}), found("me.jpg", CROWD))
    return one


def test_found_people_are_on_the_panel_with_their_switches(addon: Any, photo: Any) -> None:  # noqa: F811
    assert [(list(one.box), one.include, one.likely) for one in photo.people] == [
        (box, n < 2, n < 2) for n, box in enumerate(CROWD)
    ]
    assert addon.importer().summaries == [] and len(bpy.data.armatures) == 0
    before = data_names()
    page = drawn(panels.UVATAR_PT_photos)
    assert page.buttons.count("uvatar.include_people") == 2 and page.buttons.count("uvatar.find_people") == 1
    choosing.make_picture()
    assert data_names() == before
    first = np.asarray(Image.open(picture_file(photo)).convert("RGB")).astype(int)
    photo.people[0].include = False
    choosing.make_picture()
    second = np.asarray(Image.open(picture_file(photo)).convert("RGB")).astype(int)
    orange = [(np.abs(picture - (230, 158, 0)).max(-1) < 12).sum() for picture in (first, second)]
    assert orange[0] > 500 and orange[1] == 0  # the first one's box
    assert bpy.ops.uvatar.include_people(include=True) == {"FINISHED"} and all(p.include for p in photo.people)
    assert bpy.ops.uvatar.include_people(include=False) == {"FINISHED"} and not photo.wanted()
    assert bpy.context.scene.uvatar.chosen() == [] and not bpy.ops.uvatar.run.poll()


def test_finding_again_keeps_what_was_said(addon: Any, photo: Any) -> None:  # noqa: F811
    photo.people[0].include, photo.people[0].name, photo.people[0].height = False, "Ann", "172"
    take(photo, parse_any(found("me.jpg", [[5.0, 5.0, 9.0, 9.0], [side + 1 for side in CROWD[0]]])))  # type: ignore[arg-type]
    assert [(p.include, p.name, p.height) for p in photo.people] == [(True, "", ""), (False, "Ann", "172")]


@pytest.mark.parametrize(("typed", "kept"), [("172", "172"), ("172.5", "172.5"), ("tall", ""), ("12", ""), ("", "")])
def test_only_heights_stay_in_the_field(photo: Any, typed: str, kept: str) -> None:
    photo.people[0].height = typed
    assert photo.people[0].height == kept


def test_the_job_is_told_who_is_meant(photo: Any) -> None:
    settings = bpy.context.scene.uvatar
    photo.people[0].include, photo.people[1].height = False, "181"
    ((paths, options),) = settings.jobs()
    assert paths == [photo.file()]
    assert options["given_people"] == [{"photo": "me.jpg", "chosen": [[1, *CROWD[1], 181.0]]}]
    photo.person = "A"
    ((_, options),) = settings.jobs()
    assert options["same_person"] and options["height"] == "181" and options["given_people"][0]["chosen"][0][0] == 1


def test_photos_without_found_people_are_as_before(addon: Any, tmp_path: Path) -> None:  # noqa: F811
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").touch()
        add_photos(tmp_path / folder, "1.jpg")
    ((paths, options),) = bpy.context.scene.uvatar.jobs()
    assert len(paths) == 2 and "given_people" not in options


def test_avatars_have_the_names_and_keep_what_was_said(addon: Any, photo: Any) -> None:  # noqa: F811
    photo.people[1].name = "Cem"
    pin, stroke = [*CROWD[1], 15, 1.0, 2.0], [*CROWD[1], 1, 9.0, 10.0, 10.0]
    given = [{"photo": "me.jpg", "chosen": [[1, *CROWD[1], 181.0]], "pins": [pin], "strokes": [stroke]}]
    arrived(addon, Job("one", (photo.file(),), {"given_people": given}), crowd("me.jpg", {"given_people": given}))
    (rig,) = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    assert rig.name == "Cem" and rig["uvatar_person"] == "p1"
    assert Corrections.read(rig["uvatar_corrections"]) == Corrections([pin], [stroke], 181.0)
    assert json.loads(rig["uvatar_mask"])["window"] == [60, 40, 240, 390]
    photo.people[1].name = ""
    arrived(addon, Job("one", (photo.file(),), {"given_people": given}), crowd("me.jpg", {"given_people": given}))
    assert "me p1" in bpy.data.objects


def sent(addon: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:  # noqa: F811
    """The jobs that operators begin from now on."""
    jobs: list[Any] = []
    from uvatar_blender.ui import note_fixes

    monkeypatch.setattr(note_fixes, "begin", lambda these, write: jobs.extend(these))
    monkeypatch.setattr(note_fixes, "linked", lambda *_: True)
    return jobs


def test_one_person_is_made_again_with_what_is_known(
    addon: Any, photo: Any, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    rigs = import_people(parse_result(crowd("me.jpg", {})), bpy.context.scene).rigs
    pin = [*CROWD[2], 15, 1.0, 2.0]
    rigs[2]["uvatar_corrections"] = Corrections([pin], [], 0.0).text()
    bpy.context.view_layer.objects.active = rigs[2]
    page = drawn(avatar_panels.UVATAR_PT_avatar)
    assert rigs[2].name in [getattr(one, "rig", "") for one in page.set]
    jobs = sent(addon, monkeypatch)
    ask = {"photo": "me.jpg", "digest": "d1", "person": "p2", "rig": rigs[2].name}
    assert bpy.ops.uvatar.make_again(change="OPTIONS", **ask) == {"FINISHED"}
    assert bpy.ops.uvatar.make_again(change="HEIGHT", height=150, **ask) == {"FINISHED"}
    assert bpy.ops.uvatar.make_again(change="OPTIONS", alone=False, **ask) == {"FINISHED"}
    chosen = {"photo": "me.jpg", "pins": [pin], "strokes": []}
    assert [options["given_people"] for _, options in jobs] == [
        [{**chosen, "chosen": [[2, *CROWD[2], 0.0]]}],
        [{**chosen, "chosen": [[2, *CROWD[2], 150.0]]}],
        [{"photo": "me.jpg", "chosen": [[0, *CROWD[0], 0.0], [1, *CROWD[1], 0.0]]}],  # who is switched on
    ]
    bpy.context.scene.uvatar.height = "-, -, 166"
    assert bpy.ops.uvatar.make_again(change="OPTIONS", **ask) == {"FINISHED"}
    assert jobs[-1][1]["given_people"][0]["chosen"] == [[2, *CROWD[2], 166.0]] and jobs[-1][1]["height"] == ""
    for typed, height in (("172", 172.0), ("", 0.0), ("tall", 0.0)):  # in the dialog, for this person
        assert bpy.ops.uvatar.make_again(change="OPTIONS", typed=typed, **ask) == {"FINISHED"}
        assert jobs[-1][1]["given_people"][0]["chosen"] == [[2, *CROWD[2], height]] and jobs[-1][1]["height"] == ""
    del rigs[2]["uvatar_box"]  # as in a .blend of an older version
    assert bpy.ops.uvatar.make_again(change="HEIGHT", height=150, **ask) == {"FINISHED"}
    assert jobs[-1][1]["given_people"] is None and jobs[-1][1]["height"] == "-, -, 150"
    with pytest.raises(RuntimeError, match="older version"):
        bpy.ops.uvatar.make_again(change="OPTIONS", **ask)


def test_an_older_backend_gets_what_it_understands(
    addon: Any, photo: Any, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    rig = import_people(parse_result(crowd("me.jpg", {})), bpy.context.scene).rigs[1]
    addon.session().options = frozenset({"fast", "given_people"})
    jobs = sent(addon, monkeypatch)
    ask = {"photo": "me.jpg", "digest": "d1", "person": "p1", "rig": rig.name}
    assert bpy.ops.uvatar.make_again(change="HEIGHT", height=150, **ask) == {"FINISHED"}
    assert jobs[0][1]["height"] == "-, 150" and jobs[0][1]["given_people"] is None


def test_a_damaged_picture_is_not_drawn(photo: Any) -> None:
    for picture in ("", "§", base64.b64encode(b"no picture").decode(), base64.b64encode(encoded(
            np.zeros((4, 4, 3), np.uint8), "JPEG")[:30]).decode()):  # fmt: skip
        photo.picture, photo.size = picture, (300, 401)
        choosing.make_picture()
        drawn(panels.UVATAR_PT_photos)

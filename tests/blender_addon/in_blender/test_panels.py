"""What the panels draw, without a window: a layout that writes down what it is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

import blender_addon
from blender_addon.core.events import Disconnected, JobEnded, PhotoFailed, Progress
from blender_addon.core.problem import LOST, NOT_INSTALLED, Problem, Remedy
from blender_addon.core.result import parse_result
from blender_addon.core.session import Job
from blender_addon.scene.avatar import import_people
from blender_addon.ui import avatar_panels, panels, state


class Layout:
    """Stands in for bpy.types.UILayout; sub-layouts write into the same lists."""

    def __init__(self, page: SimpleNamespace | None = None) -> None:
        object.__setattr__(self, "page", page or SimpleNamespace(labels=[], buttons=[], properties=[], progress=[]))

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in dir(bpy.types.UILayout) or name in bpy.types.UILayout.bl_rna.properties, name

    def row(self, **options: Any) -> Layout:
        return Layout(self.page)

    column = box = row

    def label(self, text: str = "", icon: str = "NONE", icon_value: int = 0) -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.page.labels.append(text)

    def operator(self, name: str, text: str | None = None, icon: str = "NONE") -> None:
        module, function = name.split(".")
        assert getattr(getattr(bpy.ops, module), function).get_rna_type(), name  # raises where there is none
        assert icon in bpy.types.UILayout.bl_rna.functions["operator"].parameters["icon"].enum_items
        self.page.buttons.append(name)

    def prop(self, owner: Any, name: str, **options: Any) -> None:
        getattr(owner, name)
        self.page.properties.append(options.get("text") or name)

    def progress(self, factor: float, text: str) -> None:
        self.page.progress.append((factor, text))

    def template_list(self, kind: str, identifier: str, owner: Any, name: str, active_owner: Any, active: str, rows: int) -> None:
        assert hasattr(bpy.types, kind)
        for item in getattr(owner, name):
            panels.UVATAR_UL_photos.draw_item(None, bpy.context, self, owner, item, 0, active_owner, active)


@pytest.fixture
def addon(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The add-on registered from the source tree, in an empty file."""
    blender_addon.register()
    yield state
    blender_addon.unregister()


def drawn(panel: Any) -> SimpleNamespace:
    layout = Layout()
    assert getattr(panel, "poll", lambda context: True)(bpy.context)
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout.page


def started(addon: Any, *photos: str) -> Job:
    job = Job("id", tuple(Path(photo) for photo in photos))
    addon.session().job = job
    return job


def test_at_first_it_offers_photos_and_the_backend(addon) -> None:
    page = drawn(panels.UVATAR_PT_photos)
    assert page.labels == ["Backend is off"]
    assert set(page.buttons) >= {"uvatar.start_backend", "uvatar.connect", "uvatar.add_photos", "uvatar.run"}
    assert "same_person" not in page.properties


def test_photos_are_listed_and_can_be_one_person(addon, tmp_path) -> None:
    for name in ("a.jpg", "b.jpg"):
        bpy.context.scene.uvatar.photos.add().path = str(tmp_path / name)
    page = drawn(panels.UVATAR_PT_photos)
    assert "a.jpg" in page.labels and "b.jpg" in page.labels and "same_person" in page.properties


def test_progress_with_time_left_and_cancel(addon) -> None:
    job = started(addon, "a.jpg", "b.jpg")
    job.apply(Progress("id", 0, "fitting", 0.5, "Fitting 2 people", 42.0))
    page = drawn(panels.UVATAR_PT_photos)
    assert page.progress == [(0.25, "Fitting 2 people (42 s left)")]
    assert "uvatar.cancel" in page.buttons and "uvatar.run" not in page.buttons


@pytest.mark.parametrize(
    ("problem", "button"),
    [
        (NOT_INSTALLED, "uvatar.open_preferences"),
        (LOST, "uvatar.start_backend"),
        (Problem("It crashed.", remedy=Remedy.LOG), "uvatar.show_log"),
        (Problem("Other token.", remedy=Remedy.CONNECT), "uvatar.connect"),
    ],
)
def test_a_problem_has_its_button(addon, problem: Problem, button: str) -> None:
    addon.session().problem = problem
    page = drawn(panels.UVATAR_PT_photos)
    assert problem.message in page.labels and button in page.buttons


def test_photos_that_failed_are_named_with_the_reason(addon) -> None:
    job = started(addon, "a.jpg", "b.jpg")
    job.apply(PhotoFailed("id", 1, Problem("No person was found in b.jpg.", "Use another photo.")))
    job.apply(JobEnded("id"))
    job.imported = 1
    page = drawn(panels.UVATAR_PT_photos)
    assert page.labels[-4:] == ["b.jpg", "No person was found in b.jpg.", "Use another photo.", "1 avatar imported"]
    assert "uvatar.run" in page.buttons


def test_the_avatars_sliders_show_for_its_mesh_and_its_rig(addon, result) -> None:
    assert not avatar_panels.UVATAR_PT_avatar.poll(bpy.context)
    (rig,) = import_people(parse_result(result), bpy.context.scene).rigs
    for selected in (rig, rig.children[0]):
        bpy.context.view_layer.objects.active = selected
        page = drawn(avatar_panels.UVATAR_PT_avatar)
        assert page.properties == [*(name.capitalize() for name in result["people"][0]["beta_names"]), "Clothes and hair"]
        assert {"uvatar.refresh_joints", "uvatar.export_glb"} <= set(page.buttons)
        assert page.labels == result["people"][0]["notes"]


def test_options_reach_the_backend_and_the_import(addon) -> None:
    page = drawn(panels.UVATAR_PT_options)
    settings = bpy.context.scene.uvatar
    settings.texture_size, settings.fast, settings.same_person, settings.unlit = "2048", True, True, True
    assert set(page.properties) == {"texture_size", "fast", "clothing", "photo_pose", "camera", "use_camera", "unlit"}
    from backend.wire import checked_options

    options = checked_options(settings.job_options())  # the backend's own check
    assert options["texture_size"] == 2048 and options["fast"] and not options["same_person"]  # of one photo nothing is merged
    assert settings.import_options().unlit


def test_a_lost_connection_is_shown_while_the_run_waits(addon) -> None:
    started(addon, "a.jpg")
    session = addon.session()
    session.link, session.problem = panels.Link.CONNECTING, Disconnected(LOST, False).problem
    page = drawn(panels.UVATAR_PT_photos)
    assert "Connecting…" in page.labels and LOST.message in page.labels and page.progress

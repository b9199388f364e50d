"""People are chosen on the photo before avatars are made, and the mask is painted on it, in a real window."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.blender_addon.fake_pipeline import CROWD
from tests.blender_window.conftest import WORK
from tests.blender_window.panel import choose, choose_both_samples, close_panel, photo, picture, sidebar_picture
from tests.blender_window.window import HEIGHT, Window

# The operator that is running, its buttons by what they do, and where a pixel of the photo is on the screen.
_EDITOR = (
    "import gc\n"
    "edit = next(o for o in gc.get_objects() if type(o).__name__ == 'UVATAR_OT_correct_on_photo')\n"
    "def button(action):\n"
    "    one = next(p for p in edit._placed if p.button.action == action)\n"
    "    x, y = one.left + one.width / 2, one.bottom + one.height / 2\n"
    f"    return [round(edit._region.x + x), {HEIGHT} - round(edit._region.y + y)]\n"
    "def at(x, y):\n"
    "    left, top, width, height = edit._frame(bpy.context)\n"
    "    x, y = left + x / edit._size[0] * width, top + y / edit._size[1] * height\n"
    f"    return [round(edit._region.x + x), {HEIGHT} - round(edit._region.y + y)]\n"
)
Serve = Callable[..., subprocess.Popen[bytes]]


def found(window: Window, people: int) -> None:
    """Press *Find People*, and wait for so many."""
    window.press("uvatar.find_people")
    window.until(f"len(bpy.context.scene.uvatar.photos[0].people) == {people}", "the people are found")
    window.until("not state.session().running", "the run is over")
    window.until("module('ui.found').picture_file(bpy.context.scene.uvatar.photos[0]).is_file()", "they are drawn")
    window.settle()


def switches(window: Window, people: int) -> list[tuple[int, int]]:
    """Where on the screen the switches of so many people are, the first one first; rows are of one height."""
    left, top, width, height = window.sidebar()
    x = left + int(0.11 * width)
    seen = [y for y in range(top + 200, top + height, 5) if window.name_at(x, y).endswith("include")]
    row = (seen[-1] - seen[0] + 5) / people
    assert 15 < row < 30, seen
    return [(x, round(seen[0] + (number + 0.5) * row)) for number in range(people)]


def fill(window: Window, place: tuple[int, int], text: str, field: str) -> None:
    """Type a text into a field of the selected photo, as a user who waits until the field has the cursor."""
    for _ in range(5):
        window.click(*place)
        for press in (("key", "ctrl+a"), ("type", text), ("key", "Return")):
            window.settle()
            window.hand(*press)
        window.settle()
        if window.value(f"bpy.context.scene.uvatar.photos[0].{field}") == text:
            return
    raise AssertionError(f"{text} could not be typed")


def test_people_are_found_named_and_switched_off_before_avatars_are_made(window: Window, serve: Serve) -> None:
    photo(window, "me.jpg", b"crowd")
    choose(window, "me.jpg")
    serve()
    found(window, 3)
    seen = "[[p.include, p.likely, list(p.box)] for p in bpy.context.scene.uvatar.photos[0].people]"
    assert window.value(seen) == [[n < 2, n < 2, box] for n, box in enumerate(CROWD)]
    picture(window, "addon-found")
    left, _, width, _ = window.sidebar()
    first, (_, row) = switches(window, 3)[:2]
    window.click(*first)
    assert window.value("bpy.context.scene.uvatar.photos[0].people[0].include") is False
    window.until("module('ui.found').picture_file(bpy.context.scene.uvatar.photos[0]).is_file()", "the box is grey")
    fill(window, (left + int(0.45 * width), row), "Anna", "people[1].name")
    fill(window, (left + int(0.76 * width), row), "181", "people[1].height")
    assert window.value("[(p.name, p.height) for p in bpy.context.scene.uvatar.photos[0].people][1]") == ["Anna", "181"]
    picture(window, "addon-chosen")
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    (given,) = window.value("state.session().run.jobs[0].options['given_people']")
    assert given == {"photo": "me.jpg", "chosen": [[1, *CROWD[1], 181]]}
    assert window.value("rigs()") == ["Anna"]


def test_one_person_of_several_is_made_again_and_the_others_stay(window: Window, serve: Serve) -> None:
    photo(window, "me.jpg", b"crowd")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(rigs()) == 3 and not state.importer().building", "the avatars are there")
    window.run("bpy.context.view_layer.objects.active = bpy.data.objects['me p1']\nstate.redraw()")
    before = window.value("{name: list(bpy.data.objects[name].location) for name in rigs()}")
    close_panel(window)
    window.press("uvatar.make_again", (0.25, 0.5))
    window.settle()
    picture(window, "addon-make-again")
    window.key("Return")  # as the dialog's button, which has the focus
    window.until("len(rigs()) == 4 and not state.importer().building", "the one avatar is there")
    (given,) = window.value("state.session().run.jobs[0].options['given_people']")
    assert [row[0] for row in given["chosen"]] == [1]
    after = window.value("{name: list(bpy.data.objects[name].location) for name in rigs()}")
    assert {name: after[name] for name in before} == before and set(after) - set(before) == {"me p1.001"}


def test_the_mask_is_painted_undone_and_sent_with_a_joint(window: Window, serve: Serve) -> None:
    photo(window, "me.jpg")
    choose(window, "me.jpg")
    serve()
    window.press("uvatar.run")
    window.until("len(state.importer().summaries) == 1 and not state.importer().building", "the avatar is there")
    window.settle()
    close_panel(window)
    window.press("uvatar.correct_on_photo", (0.25,))
    window.run(_EDITOR)
    window.click(*window.value("button('ADD')"))
    assert window.value("edit.tool") == "ADD"
    start, end = window.value("[at(250, 120), at(270, 220)]")
    assert not window.value("edit._edit.mask.full") and window.value("float(edit._edit.mask.shown.mean())") < 0.5
    share = window.value("float(edit._edit.mask.shown.mean())")
    window.drag(tuple(start), tuple(end))
    picture(window, "addon-mask")
    assert window.value("float(edit._edit.mask.shown.mean())") > share + 0.01
    window.key("ctrl+z")
    assert window.value("[len(edit._edit.mask.strokes), float(edit._edit.mask.shown.mean())]") == [0, share]
    radius = window.value("edit._radius")
    for key, factor in (("bracketright", 1.25**2), ("bracketleft", 1.0)):
        window.hand("key", key, key)  # so quickly that Blender takes it for a double click
        window.settle()
        assert abs(window.value("edit._radius") - factor * radius) < 1e-6
    window.hand("mousemove", *start)
    window.settle()
    window.hand("mousedown", 1)
    window.settle()
    window.hand("key", "ctrl+z")  # before the button is let go: the stroke that is being painted is taken back
    window.settle()
    window.hand("mouseup", 1)
    window.settle()
    assert window.value("[len(edit._edit.mask.strokes), edit._edit.can_undo]") == [0, False]
    window.drag(tuple(start), tuple(end))
    window.key("x")
    assert window.value("edit.tool") == "REMOVE"
    inside = window.value("[at(150, 200), at(150, 260)]")
    window.drag(tuple(inside[0]), tuple(inside[1]))
    window.key("Tab")
    wrist = window.value("(lambda p: at(p[0] * edit._size[0], p[1] * edit._size[1]))(edit._edit.pins.places[15])")
    window.drag(tuple(wrist), (wrist[0] + 25, wrist[1] - 30))
    picture(window, "addon-mask-and-joint")
    window.click(*window.value("button('FIT')"))
    window.until("state.session().run.jobs[0].options.get('given_people')", "the person is fitted again")
    (given,) = window.value("state.session().run.jobs[0].options['given_people']")
    assert [stroke[4] for stroke in given["strokes"]] == [1, 0] and [pin[4] for pin in given["pins"]] == [15]
    for stroke, (x, y) in zip(given["strokes"], ((250, 120), (150, 200)), strict=True):
        assert stroke[:4] == [0, 0, 300, 400] and abs(stroke[6] - x) < 3 and abs(stroke[7] - y) < 3
        assert len(stroke) > 12 and abs(stroke[5] - 12) < 0.1
    window.until("len(rigs()) == 2 and not state.importer().building", "the corrected avatar is there")
    kept = window.value("__import__('json').loads(bpy.context.object['uvatar_corrections'])")
    assert kept["strokes"] == given["strokes"] and kept["pins"] == given["pins"]
    # The corrections are there again, and can all be taken back.
    window.press("uvatar.correct_on_photo", (0.25,))
    window.run(_EDITOR)
    assert window.value("[len(edit._edit.mask.strokes), edit._edit.pins.moved]") == [2, [15]]
    window.click(*window.value("button('RESET')"))
    assert window.value("[len(edit._edit.mask.strokes), edit._edit.pins.moved]") == [0, []]
    window.key("Escape")
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_real_photo_is_chosen_from_and_painted_on(window: Window, serve: Serve) -> None:
    choose_both_samples(window)
    window.run("bpy.data.batch_remove(list(bpy.data.objects))\nbpy.context.scene.uvatar.fast = True")
    serve(None)
    found(window, 2)
    window.run(
        "people = bpy.context.scene.uvatar.photos[0].people\n"
        "people[0].name, people[1].name, people[1].height = 'Ben', 'Anna', '165'\n"
        "people[0].include = False\nstate.redraw()"
    )
    window.settle()
    window.until("module('ui.found').picture_file(bpy.context.scene.uvatar.photos[0]).is_file()", "the box is grey")
    sidebar_picture(window, "addon-choosing")
    window.press("uvatar.run")
    window.until("rigs() and not state.importer().building", "the one is imported", 900)
    assert window.value("rigs()") == ["Anna"] and abs(window.value(
        "__import__('json').loads(bpy.data.objects['Anna']['uvatar_measurements'])['stature']") - 165) < 2  # fmt: skip
    close_panel(window)
    window.press("uvatar.correct_on_photo", (0.25,))
    window.run(_EDITOR)
    window.click(*window.value("button('ADD')"))
    picture(window, "addon-brushing", (0, 0, 1056, 718))
    assert Path(window.inside(f"{WORK}/photos/both.jpg")).is_file()
    window.key("Escape")
    window.until("not bpy.context.window_manager.windows[0].modal_operators", "it has ended")

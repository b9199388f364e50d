"""What the window tests do with the panel, and the pictures that they take of it.

UVATAR_UI_PICTURES names a folder for screenshots. Those that the artist's guide shows are copied to docs/images as they
are.
"""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from tests.blender_window.conftest import SAMPLES, WORK
from tests.blender_window.window import HEIGHT, Window

LIST_BUTTONS = (0.83,)  # where the buttons beside the list, and Cancel, are: shares of the sidebar's width
# How much longer than Blender's own Duplicate of an avatar a call of the add-on's timer may take. Duplicate cannot be
# split either: it copies the data, evaluates them and makes an undo step, as the longest of our calls do.
LONGEST_TICK = 3.0
VIEW = (0, 0, 1056, 690)  # the 3D View with its sidebar and the menus, for pictures: left, top, width, height


def photo(window: Window, name: str, data: bytes = b"photo") -> str:
    """Write a photo where Blender can read it; its path for Blender."""
    window.inside(f"{WORK}/photos/{name}").write_bytes(data)
    return f"{WORK}/photos/{name}"


def wait_photo(window: Window, name: str = "me.jpg") -> Path:
    """A photo on which the backend works until the returned file exists."""
    go = window.inside(f"{WORK}/photos/go")
    photo(window, name, b"wait:" + str(go).encode())
    return go


def choose(window: Window, *names: str) -> None:
    window.run(
        f"from pathlib import Path\nphotos.add(bpy.context.scene, [Path('{WORK}/photos', name) for name in "
        f"{names!r}])\nstate.redraw()"
    )
    window.settle()


def choose_both_samples(window: Window) -> None:
    """A picture, both.jpg, with the man at the left and the woman at the right."""
    both = Image.new("RGB", (1200, 800), "white")
    for place, name in enumerate(("man.jpg", "woman.jpg")):
        with Image.open(SAMPLES / name) as one:
            half = one.convert("RGB").resize((round(one.width * 800 / one.height), 800))
        both.paste(half, (300 + 600 * place - half.width // 2, 0))
    both.save(window.inside(f"{WORK}/photos/both.jpg"))
    choose(window, "both.jpg")


def picture(window: Window, name: str, crop: tuple[int, int, int, int] | None = None) -> None:
    folder = os.environ.get("UVATAR_UI_PICTURES")
    if folder:
        window.screenshot(Path(folder) / f"{name}.png", crop)


def sidebar_picture(window: Window, name: str, height: int = HEIGHT) -> None:
    """Take a picture of the sidebar, or of as many pixels of its upper end."""
    left, top, width, whole = window.sidebar()
    picture(window, name, (left, top, width, min(height, whole)))


def watch_ticks(window: Window) -> None:
    """Measure every call of the add-on's timer from now on: seconds of this thread's work, and on the clock."""
    window.run(
        "ticks, clock, pump = [], [], state.pump\n"
        "def timed():\n"
        "    begun, wall = time.thread_time(), time.perf_counter()\n"
        "    try: return pump()\n"
        "    finally:\n"
        "        ticks.append(time.thread_time() - begun); clock.append(time.perf_counter() - wall)\n"
        "state.pump = timed\n"
    )


def working(window: Window) -> None:
    window.until("'Waiting with' in state.session().run.current.message", "work has begun")


def duplicating(window: Window) -> float:
    """Duplicate the first avatar; the seconds of the main thread's work that Blender needs for that."""
    seconds = window.run(
        "rig, layer = bpy.data.objects[rigs()[0]], bpy.context.view_layer\n"
        "for thing in layer.objects: thing.select_set(thing == rig or thing.parent == rig)\n"
        "layer.objects.active = rig\n"
        "begun = time.thread_time()\n"
        "with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):\n"
        "    bpy.ops.object.duplicate('EXEC_DEFAULT', True)\n"
        "    bpy.context.view_layer.update()\n"
        "answer = time.thread_time() - begun\n"
    )
    return float(seconds)


def check_ticks(window: Window) -> None:
    """Check that no call of the timer since `watch_ticks` has blocked Blender, by what Blender itself needs.

    Seconds would tell how fast and how busy the computer is. The avatar is duplicated for this; call it at the end.
    """
    longest, total, wall, calls = window.value("[max(ticks), sum(ticks), max(clock), len(ticks)]")
    own = max(duplicating(window) for _ in range(3))
    print(
        f"main thread: longest of {calls} ticks {longest * 1000:.0f} ms ({wall * 1000:.0f} ms on the clock), all "
        f"{total * 1000:.0f} ms; Blender's own Duplicate {own * 1000:.0f} ms"
    )
    assert longest < LONGEST_TICK * own


def close_panel(window: Window, number: int = 0) -> None:
    """Click on the header of a panel; those above it are closed."""
    left, top, width, _ = window.sidebar()
    window.click(left + width // 3, top + 16 + 27 * number)
    window.settle()


def scroll_down(window: Window, steps: int = 8) -> None:
    """Turn the mouse wheel over the sidebar."""
    left, top, width, height = window.sidebar()
    window.hand("mousemove", left + width // 2, top + height // 2)
    for _ in range(steps):
        window.hand("click", 5)
    window.settle()

"""A real Blender with a window on an X server without screen, in a Debian root, and a hand on its mouse and keyboard.

Real events: xdotool moves X's pointer and presses its buttons (the XTEST extension), Blender sees what a user's mouse would send.
Where a button is, Blender does not tell; but it copies the Python command of the button under the mouse (as Ctrl+C over a
button does), so `find` moves the mouse down the sidebar until that is the wanted one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 1280, 800
PATIENCE = 120.0
_CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
_ROW = 10  # pixels between looks for a button; a button is 20 high
_SIDEBAR = "area = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D')\n" \
    "sidebar = next(r for r in area.regions if r.type == 'UI')\n"  # fmt: skip


class Window:
    """One Blender, from start to `close`. Paths given to Blender are as the root sees them: see `inside`."""

    def __init__(self, root: Path, work: str, environment: dict[str, str] | None = None) -> None:
        """
        Args:
            root: tools/blender_root.py's folder.
            work: folder inside the root, as "/tmp/...", for Blender's settings.
        """
        self.root, self.work = root, work
        self.inside(work).mkdir(parents=True, exist_ok=True)
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin",
            "HOME": work,
            "BLENDER_USER_RESOURCES": f"{work}/blender",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "LC_ALL": "C.UTF-8",
            "LP_NUM_THREADS": "1",
            **(environment or {}),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files: Any = None

    def inside(self, path: str) -> Path:
        """A path of the root as this system sees it."""
        return self.root / path.lstrip("/")

    def call(self, *command: str, timeout: float = PATIENCE) -> str:
        """Run a program in the root; what it printed."""
        done = subprocess.run(
            [_CHROOT, str(self.root), *command], env=self._environment, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"{command[0]} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout

    # -- starting and ending ----------------------------------------------------------------------------------------------

    def install(self, extension: Path) -> None:
        """Install and enable an extension's zip, as Blender's own command does; no splash screen from now on."""
        zipped = self.inside(f"{self.work}/{extension.name}")
        shutil.copy(extension, zipped)
        self.call("blender", "--command", "extension", "install-file", "-r", "user_default", "-e", f"{self.work}/{extension.name}")
        quiet = (
            "import bpy; view = bpy.context.preferences.view; view.show_splash = False; view.show_tooltips = False;"
            "view.smooth_view = 0; bpy.context.preferences.use_preferences_save = False; bpy.ops.wm.save_userpref()"
        )
        self.call("blender", "--background", "--python-expr", quiet)

    def open(self) -> None:
        """Start the X server and Blender in it, and wait for both."""
        display = self._start_x()
        self._environment["DISPLAY"] = f":{display}"
        shutil.copy(Path(__file__).with_name("remote.py"), self.inside(f"{self.work}/remote.py"))
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE)
            blender = ("blender", "--gpu-backend", "opengl", "--window-geometry", "0", "0", str(WIDTH), str(HEIGHT))
            self._start(*blender, "--python", f"{self.work}/remote.py", "--", str(server.getsockname()[1]))
            self._connection, _ = server.accept()
        self._connection.settimeout(PATIENCE)
        self._lines = self._connection.makefile("rb")
        self.run("import time")

    def close(self) -> None:
        """End Blender and the X server."""
        if hasattr(self, "_connection"):
            self._lines.close()
            self._connection.close()  # Blender quits
        for process in reversed(self._processes):
            try:
                process.wait(10 if process is not self._processes[0] else 0.1)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(10)
        self._processes.clear()

    def kill(self) -> None:
        """End Blender as a crash would."""
        self._processes[-1].kill()
        self._processes.pop().wait(10)
        self._lines.close()
        self._connection.close()

    def _start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        log = open(self.inside(f"{self.work}/{Path(command[0]).name}.log"), "ab")
        with log:
            process = subprocess.Popen([_CHROOT, str(self.root), *command], env=self._environment, stdout=log, stderr=log, **options)
        self._processes.append(process)
        return process

    def _start_x(self) -> int:
        """Xvfb chooses a free display and says which."""
        ours, theirs = os.pipe()
        with open(ours) as number:
            self._start(
                *("Xvfb", "-displayfd", str(theirs), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "+extension", "GLX", "-nolisten", "tcp"),
                pass_fds=(theirs,),
            )
            os.close(theirs)
            return int(number.readline())

    # -- what the test sees -----------------------------------------------------------------------------------------------

    def run(self, source: str) -> Any:
        """Run Python in Blender, on its main thread; its variable ``answer``."""
        self._connection.sendall(json.dumps({"run": source}).encode() + b"\n")
        line = self._lines.readline()
        assert line, "Blender has ended: " + self.inside(f"{self.work}/blender.log").read_text(errors="replace")[-3000:]
        reply = json.loads(line)
        assert "error" not in reply, reply["error"]
        return reply["value"]

    def value(self, expression: str) -> Any:
        """The value of a Python expression in Blender."""
        return self.run(f"answer = {expression}")

    def until(self, expression: str, what: str, patience: float = PATIENCE) -> Any:
        """Wait until an expression in Blender is true; its value."""
        deadline = time.monotonic() + patience
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.05)
        return found

    def screenshot(self, path: Path, crop: tuple[int, int, int, int] | None = None) -> None:
        """What the X server shows, as PNG; ``crop``: x, y, width, height."""
        self.settle()
        cut = ("-crop", "{2}x{3}+{0}+{1}".format(*crop), "+repage") if crop else ()
        self.call("import", "-window", "root", *cut, f"{self.work}/screen.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.inside(f"{self.work}/screen.png"), path)

    def settle(self) -> None:
        """Let Blender deal with the events it has, and draw."""
        for _ in range(3):
            self.run("answer = None")
            time.sleep(0.03)

    # -- mouse and keyboard -----------------------------------------------------------------------------------------------

    def hand(self, *command: str | int) -> None:
        """What xdotool does."""
        self.call("xdotool", *(str(word) for word in command))

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a place of the screen."""
        self.hand("mousemove", x, y)
        self.settle()
        self.hand("click", button)
        self.settle()

    def key(self, name: str) -> None:
        """Press a key with the mouse in the middle of the viewport."""
        self.hand("mousemove", WIDTH // 3, HEIGHT // 2)
        self.settle()
        self.hand("key", name)
        self.settle()

    def show_sidebar(self, tab: str = "Uvatar") -> None:
        """Open the 3D View's sidebar at a tab, wide enough to read."""
        self.run(_SIDEBAR + "area.spaces.active.show_region_ui = True")
        self.settle()  # the tabs are there when they have been drawn
        self.run(_SIDEBAR + f"sidebar.active_panel_category = {tab!r}\narea.tag_redraw()")
        self.settle()

    def sidebar(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the sidebar on the screen."""
        return tuple(self.value_after(_SIDEBAR, f"[sidebar.x, {HEIGHT} - sidebar.y - sidebar.height, sidebar.width, sidebar.height]"))

    def value_after(self, source: str, expression: str) -> Any:
        """The value of an expression after some statements, in Blender."""
        return self.run(f"{source}answer = {expression}")

    def under_mouse(self) -> str:
        """Python command of the sidebar's button under the mouse, or data path of its property; nothing where there is none."""
        return self.value_after(
            _SIDEBAR,
            "''\n"
            "bpy.context.window_manager.clipboard = ''\n"
            "with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area, region=sidebar):\n"
            "    if bpy.ops.ui.copy_python_command_button.poll():\n"
            "        bpy.ops.ui.copy_python_command_button()\n"
            "        answer = bpy.context.window_manager.clipboard\n"
            "    elif bpy.context.property:\n"
            "        answer = bpy.context.property[1]\n",
        )

    def look(self, columns: tuple[float, ...] = (0.5,)) -> Iterator[tuple[int, int, str]]:
        """Places down the sidebar, and what is there. ``columns``: shares of its width."""
        left, top, width, height = self.sidebar()
        for column in columns:
            for y in range(top + _ROW, top + height, _ROW):
                x = left + int(column * width)
                self.hand("mousemove", x, y)
                self.run("answer = None")
                time.sleep(0.02)
                yield x, y, self.under_mouse()

    def find(self, wanted: str, columns: tuple[float, ...] = (0.5, 0.25, 0.75, 0.92)) -> tuple[int, int]:
        """Where the button of an operator (``uvatar.run``) or a property is, on the screen."""
        seen: set[str] = set()
        for x, y, name in self.look(columns):
            if wanted in name:
                return x, y
            seen.add(name)
        raise AssertionError(f"There is no button {wanted}; there are {sorted(seen)}")

    def press(self, wanted: str) -> None:
        """Click on the button of an operator or property."""
        x, y = self.find(wanted)
        self.hand("click", 1)
        self.settle()


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition of this process holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)

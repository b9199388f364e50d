"""A real Blender with a window on an X server without screen, in a Debian root, and a hand on its mouse and keyboard.

Real events: xdotool moves X's pointer and presses its buttons (the XTEST extension), Blender sees what a user's mouse
would send. Where a button is, Blender does not tell; but it copies the Python command of the button under the mouse (as
Ctrl+C over a button does), so `find` moves the mouse down the sidebar until that is the wanted one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 1280, 800
PATIENCE = 300.0  # seconds until something may be given up: on a busy machine all takes ten times as long
REPLY = (
    500.0  # seconds until Blender may be given up: without a graphics card, a busy machine compiles shaders for minutes
)
_CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
_ROW = 14  # pixels between looks for a button; a button is 20 high
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
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._connection: socket.socket | None = None
        self._places: dict[str, tuple[int, int]] = {}  # where buttons were when they were last found

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

    # -- starting and ending
    # ----------------------------------------------------------------------------------------------

    def install(self, extension: Path) -> None:
        """Install and enable an extension's zip, as Blender's own command does; no splash screen from now on."""
        zipped = self.inside(f"{self.work}/{extension.name}")
        shutil.copy(extension, zipped)
        self.call(
            "blender",
            "--command",
            "extension",
            "install-file",
            "-r",
            "user_default",
            "-e",
            f"{self.work}/{extension.name}",
        )
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
        self._connection.settimeout(REPLY)
        self._lines = self._connection.makefile("rb")
        self._xdotool = self._start("xdotool", "-", stdin=subprocess.PIPE)
        self._places.clear()
        self.settle()

    def close(self) -> None:
        """End Blender and the X server."""
        self._let_go()  # Blender quits
        for name, patience in (("blender", PATIENCE), ("Xvfb", 0.0)):  # Blender first draws what it has begun to draw
            if (process := self._processes.pop(name, None)) is not None:
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    process.kill() if name == "blender" else process.terminate()
                    process.wait(20)

    def kill(self) -> None:
        """End Blender as a crash would."""
        blender = self._processes.pop("blender")
        blender.kill()
        blender.wait(PATIENCE)
        self.close()

    def quit(self) -> tuple[int, float]:
        """End Blender as its user does, with Ctrl+Q; its exit code (negative: a signal), and the seconds that
        it took.
        """
        blender, begun = self._processes.pop("blender"), time.monotonic()
        self.hand("mousemove", WIDTH // 3, HEIGHT // 2)
        self.hand("key", "ctrl+q")
        code = blender.wait(PATIENCE)
        took = time.monotonic() - begun
        self.close()
        return code, took

    def _let_go(self) -> None:
        """Close what connects this process with the root's."""
        if (hand := self._processes.pop("xdotool", None)) is not None and hand.stdin is not None:
            hand.stdin.close()
            hand.wait(20)
        if self._connection is not None:
            self._lines.close()
            self._connection.close()
            self._connection = None

    def _start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        with open(self.inside(f"{self.work}/{Path(command[0]).name}.log"), "ab") as log:
            process = subprocess.Popen(
                [_CHROOT, str(self.root), *command], env=self._environment, stdout=log, stderr=log, **options
            )
        self._processes[Path(command[0]).name] = process
        return process

    def _start_x(self) -> int:
        """Xvfb chooses a free display and says which."""
        ours, theirs = os.pipe()
        with open(ours) as number:
            self._start(
                *(
                    "Xvfb",
                    "-displayfd",
                    str(theirs),
                    "-screen",
                    "0",
                    f"{WIDTH}x{HEIGHT}x24",
                    "+extension",
                    "GLX",
                    "-nolisten",
                    "tcp",
                ),
                pass_fds=(theirs,),
            )
            os.close(theirs)
            return int(number.readline())

    # -- what the test sees
    # -----------------------------------------------------------------------------------------------

    def run(self, source: str) -> Any:
        """Run Python in Blender, on its main thread; its variable ``answer``."""
        assert self._connection is not None
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
        with Image.open(self.inside(f"{self.work}/screen.png")) as screen:
            colours = screen.convert("RGB")
        # 256 colours, for a file of half the size: some of these pictures are in the repository.
        palette = colours.quantize(256, kmeans=2)
        colours.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)

    def settle(self) -> None:
        """Let Blender deal with the events it has, and draw."""
        for _ in range(3):
            self.run("answer = None")
            time.sleep(0.03)

    # -- mouse and keyboard
    # -----------------------------------------------------------------------------------------------

    def hand(self, *command: str | int) -> None:
        """What xdotool does."""
        assert self._xdotool.stdin is not None
        self._xdotool.stdin.write((" ".join(str(word) for word in command) + "\n").encode())
        self._xdotool.stdin.flush()
        time.sleep(0.02)

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a place of the screen."""
        self.hand("mousemove", x, y)
        self.settle()
        self.hand("click", button)
        self.settle()

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag from a place to another."""
        self.hand("mousemove", *start)
        self.settle()
        self.hand("mousedown", 1)
        # Slowly at first: where the mouse is when Blender sees a drag must still be over what is dragged.
        for share in (0.005, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0):
            self.hand(
                "mousemove",
                *(round(begin + (finish - begin) * share) for begin, finish in zip(start, end, strict=True)),
            )
            self.settle()
        self.hand("mouseup", 1)
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
        return tuple(
            self.value_after(
                _SIDEBAR, f"[sidebar.x, {HEIGHT} - sidebar.y - sidebar.height, sidebar.width, sidebar.height]"
            )
        )

    def value_after(self, source: str, expression: str) -> Any:
        """The value of an expression after some statements, in Blender."""
        return self.run(f"{source}answer = {expression}")

    def under_mouse(self) -> str:
        """Python command of the sidebar's button under the mouse, or data path of its property; nothing where there is
        none.
        """
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

    def name_at(self, x: int, y: int) -> str:
        """What is at a place of the sidebar: see `under_mouse`."""
        self.hand("mousemove", x, y)
        self.run("answer = None")
        return self.under_mouse()

    def find(self, wanted: str, columns: tuple[float, ...] = (0.5, 0.3, 0.7, 0.83)) -> tuple[int, int]:
        """Move the mouse to the button of an operator (``uvatar.run``) or property; its place on the screen.

        ``columns``: where to look, shares of the sidebar's width.
        """
        if wanted in self._places and wanted in self.name_at(*self._places[wanted]):
            return self._places[wanted]
        left, top, width, height = self.sidebar()
        seen: set[str] = set()
        for column in columns:
            for y in range(top + _ROW, top + height, _ROW):
                place = left + int(column * width), y
                name = self.name_at(*place)
                if wanted in name:
                    self._places[wanted] = place
                    return place
                seen.add(name)
        raise AssertionError(f"There is no button {wanted}; there are {sorted(seen)}")

    def press(self, wanted: str, columns: tuple[float, ...] = (0.5, 0.3, 0.7, 0.83)) -> None:
        """Click on the button of an operator or property."""
        self.find(wanted, columns)
        self.hand("click", 1)
        self.settle()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the backend is, and its set-up. They belong to this computer, not to a .blend."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import os
from collections.abc import Mapping
from pathlib import Path

import bpy

from .. import __package__ as extension
from ..core.backend_process import environment_folder, is_complete, outdated_version
from ..core.environment_stamp import read_stamp
from ..core.packages import PackageSet, expected_download
from ..core.session import Link
from ..core.setup import INSTALLED, NEEDED, SetupOptions
from ..protocol.devices import AUTO, DEVICE_VARIABLE, DEVICES
from ..protocol.version import __version__
from . import drawing, state
from .translation import tr

_SHIPPED = Path(__file__).resolve().parents[1] / "backend"  # what the add-on's zip brings for the backend
_TESTED = _SHIPPED / "constraints"

# What is said of each choice before it is set up.
ABOUT = {
    PackageSet.LIGHT.name: "Light: everything you need to make avatars.",
    PackageSet.TORCH.name: "With PyTorch: also runs ROMP's published network and networks of your own.",
}


class UVATAR_AP_preferences(bpy.types.AddonPreferences):
    """Settings of the add-on."""

    bl_idname = extension

    folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Folder", description="Where the backend is installed. Empty: beside your data", subtype="DIR_PATH"
    )
    packages: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Packages",
        description="What is set up with the backend",
        items=[
            (PackageSet.LIGHT.name, "Light", ABOUT[PackageSet.LIGHT.name].rstrip(".")),
            (PackageSet.TORCH.name, "With PyTorch", ABOUT[PackageSet.TORCH.name].rstrip(".")),
        ],
        default=PackageSet.LIGHT.name,
    )
    parser: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Google's parser",
        description="Also download Google's model that tells skin, hair and clothes apart (16 MB, Apache-2.0). Without "
        "it, Uvatar's own is used",
    )
    wheel: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Backend's wheel",
        description="The uvatar-….whl file to install. Empty: the one that came with the add-on, otherwise from the "
        "package index",
        subtype="FILE_PATH",
    )
    index: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Package index",
        description="URL of another Python package index. Empty: the one pip is configured to use",
    )
    backend: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Backend",
        description="The uvatar program, a Python that has it installed, or its virtual environment. Empty: the one "
        "set up here, otherwise the one on the search path",
        subtype="FILE_PATH",
    )
    device: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Compute on",
        description="What the backend's networks run on. It takes effect when the backend is started",
        items=[(name.upper(), device.label, device.about) for name, device in DEVICES.items()],
        default=AUTO.upper(),
    )
    address: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Address",
        description="host:port of a backend that is already running. Empty: your own backend is found automatically",
    )
    token: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Token", description="The token that the backend at this address requires", subtype="PASSWORD"
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        box = layout.box()
        box.label(text="Backend on this computer")
        self._draw_setup(box)
        column = box.column()
        setup = state.setup()
        column.enabled = setup is None or not setup.running
        column.row().prop(self, "packages", expand=True)
        column.prop(self, "parser")
        column.prop(self, "folder", placeholder=str(environment_folder()))
        column.prop(self, "wheel", placeholder=_shipped_wheel() or "from the package index")
        column.prop(self, "index", placeholder="as configured for pip")
        self._draw_device(box)
        box = layout.box()
        box.label(text="An existing backend")
        box.prop(self, "backend", placeholder="the one above, otherwise on the search path")
        box.prop(self, "address", placeholder="found automatically")
        if self.address:
            box.prop(self, "token")

    def _draw_setup(self, layout: bpy.types.UILayout) -> None:
        if drawing.draw_setup(layout):
            return
        setup, problem = state.setup(), state.session().problem
        failed = setup.problem if setup is not None else None
        # If the set-up failed, its own message says more than that there is no backend.
        if problem is not None and not (failed is not None and drawing.offers_setup(problem)):
            drawing.draw_problem(layout, problem)
        if drawing.offers_setup(failed):
            return  # its box has the button
        folder, row = self.environment(), layout.row()
        if is_complete(folder):
            stamp, old = read_stamp(folder) or {}, outdated_version(folder)
            version = stamp.get("version")
            text = f"Version {version} is set up: too old for this add-on" if old else f"Version {version} is set up"
            row.label(text=tr(text), icon="ERROR" if old else "CHECKMARK")
            if old or set_up_choice(stamp) is self.choice():
                row.operator("uvatar.setup_backend", text="Update", icon="FILE_REFRESH")
            else:
                row.operator("uvatar.update_backend", text=_SWITCH[self.choice()], icon="FILE_REFRESH")
            row.operator("uvatar.remove_backend", text="Remove", icon="TRASH")
        else:
            row.label(text="Not set up", icon="ERROR")
            row.operator("uvatar.setup_backend", icon="IMPORT")
        row.operator("uvatar.show_log", text="", icon="TEXT")

    def _draw_device(self, layout: bpy.types.UILayout) -> None:
        column = layout.column()
        column.enabled = not self.address
        column.prop(self, "device")
        session = state.session()
        wanted = self.chosen_device() or os.environ.get(DEVICE_VARIABLE) or AUTO
        if session.link is Link.ON and not self.address and session.device not in ("", wanted):
            row = layout.row()
            row.label(text=tr(f"The running backend was started with the device {session.device}."), icon="INFO")
            row.operator("uvatar.restart_backend", text="Restart", icon="FILE_REFRESH")

    def chosen_device(self) -> str:
        """The device to start the backend with; nothing for the backend's own default."""
        return "" if self.device == AUTO.upper() else self.device.lower()

    def environment(self) -> Path:
        """Return the folder in which the backend is or would be installed."""
        return Path(bpy.path.abspath(self.folder)) if self.folder else environment_folder()

    def choice(self) -> PackageSet:
        """Return what is to be set up with the backend."""
        return PackageSet[self.packages]

    def location(self) -> str:
        """Return the location to pass to `find_command`."""
        if self.backend:
            path: str = bpy.path.abspath(self.backend)
            return path
        return str(self.environment()) if self.folder and is_complete(self.environment()) else ""

    def setup_options(self) -> SetupOptions:
        """Return the options for a set-up."""
        wheel = bpy.path.abspath(self.wheel) if self.wheel else _shipped_wheel()
        backend = wheel or f"uvatar=={__version__}"
        extension = _extension_beside(Path(wheel)) if wheel else f"uvatar-blender=={__version__}"
        return SetupOptions(
            self.environment(),
            backend,
            self.index.strip(),
            tested=_TESTED,
            extension=extension,
            choice=self.choice(),
            parser=self.parser,
        )

    def fixed_address(self) -> tuple[str, int] | None:
        """Return host and port, or None if no address was entered.

        Raises:
            ValueError: the text is not host:port.
        """
        if not self.address.strip():
            return None
        host, _, port = self.address.strip().rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{self.address} is not a valid address; enter one such as 127.0.0.1:50123.")
        return host or "127.0.0.1", int(port)


_SWITCH = {PackageSet.LIGHT: "Switch to Light", PackageSet.TORCH: "Switch to PyTorch"}


def set_up_choice(stamp: Mapping[str, object]) -> PackageSet:
    """Return what an environment was set up with; add-ons before 0.2 wrote no choice and always installed PyTorch."""
    return PackageSet.LIGHT if stamp.get("packages") == PackageSet.LIGHT.value else PackageSet.TORCH


def costs(choice: PackageSet) -> str:
    """Return the download size and disk space of a set-up, as a sentence for the dialog."""
    download = expected_download(_TESTED, choice)
    size = f"{download / 1e9:.1f} GB" if download >= 1e9 else f"{download / 1e6:.0f} MB"
    words = f"It downloads {size}" if download else "It downloads a few hundred MB or more"
    installed, needed = INSTALLED[choice] / 1e9, NEEDED[choice] / 1e9
    return f"{words}, takes {installed:.1f} GB, and needs {needed:.0f} GB free during installation."


def _shipped_wheel() -> str:
    """Return the path of the wheel in the add-on's zip, or an empty string."""
    wheels = sorted(_SHIPPED.glob("uvatar-*.whl"))
    return str(wheels[-1]) if wheels else ""


def _extension_beside(wheel: Path) -> str:
    """Return the path of the extension's wheel beside the backend's, or an empty string."""
    wheels = sorted(wheel.parent.glob("uvatar_blender-*.whl"))
    return str(wheels[-1]) if wheels else ""


def preferences(context: bpy.types.Context) -> UVATAR_AP_preferences:
    """Return the add-on's preferences."""
    found: UVATAR_AP_preferences = context.preferences.addons[extension].preferences
    return found


CLASSES = (UVATAR_AP_preferences,)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons that set the backend up, start it, find it and read its log."""

from __future__ import annotations

import bpy

from .. import __package__ as extension
from ..core import setup as setting_up
from ..core.backend_process import log_tail, stop_running
from ..core.environment_stamp import remove_environment
from ..core.problem import OFFLINE, in_words
from ..core.session import Link
from ..protocol.version import __version__
from . import drawing, state
from .preferences import costs, preferences

LOG_TEXT = "Uvatar log"


def link_up(context: bpy.types.Context, start: bool) -> None:
    """Connect to the backend; this computer's own is started where it does not run and ``start``.

    ValueError for a wrong address.
    """
    chosen = preferences(context)
    address = chosen.fixed_address()
    if address is not None:
        state.session().connect(address, chosen.token)
    elif start:
        state.session().start(chosen.location())
    else:
        state.session().connect()
    state.watch()


class _LinksUp:
    """Connects to the backend; ``start`` it where it does not run."""

    start: bool

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        try:
            link_up(context, self.start)
        except ValueError as error:
            self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_start_backend(_LinksUp, bpy.types.Operator):
    """Start the backend on this computer, and connect to it"""

    bl_idname = "uvatar.start_backend"
    bl_label = "Start Backend"
    start = True


class UVATAR_OT_connect(_LinksUp, bpy.types.Operator):
    """Connect to a backend that runs already"""

    bl_idname = "uvatar.connect"
    bl_label = "Connect"
    start = False


class UVATAR_OT_setup_backend(bpy.types.Operator):
    """Set the backend up on this computer, in an environment of its own. Nothing is installed into Blender"""

    bl_idname = "uvatar.setup_backend"
    bl_label = "Set Up Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        setup = state.setup()
        return setup is None or not setup.running

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender: says first what it takes."""
        if not bpy.app.online_access:
            return self.execute(context)
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Set Up")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender for the dialogue."""
        column = self.layout.column(align=True)
        column.label(text=f"The backend will be set up in {preferences(context).environment()}")
        column.label(text=costs())
        column.label(
            text="Where this computer has no Python 3.11 or 3.12, one is fetched, too (about 100 MB), for Uvatar alone."
        )
        column.label(text="You can go on working in the meantime.")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        if not bpy.app.online_access:
            state.session().problem = OFFLINE
            return {"CANCELLED"}
        state.session().problem = None
        state.begin_setup(setting_up.Setup(preferences(context).setup_options()))
        return {"FINISHED"}


class UVATAR_OT_update_backend(bpy.types.Operator):
    """End the backend that runs, and set up the one that belongs to this add-on"""

    bl_idname = "uvatar.update_backend"
    bl_label = "Update Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return UVATAR_OT_setup_backend.poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        state.session().stop_backend()
        stop_running()
        state.session().problem = None
        bpy.ops.uvatar.setup_backend("INVOKE_DEFAULT")
        return {"FINISHED"}


class UVATAR_OT_cancel_setup(bpy.types.Operator):
    """Stop setting the backend up, and take away what was made"""

    bl_idname = "uvatar.cancel_setup"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        setup = state.setup()
        if setup is not None:
            setup.cancel()
        return {"FINISHED"}


class UVATAR_OT_remove_backend(bpy.types.Operator):
    """Take the backend off this computer. Results and models that you brought stay"""

    bl_idname = "uvatar.remove_backend"
    bl_label = "Remove Backend"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender."""
        answer: set[str] = context.window_manager.invoke_confirm(self, event)
        return answer

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        state.session().stop_backend()
        try:
            remove_environment(preferences(context).environment())
        except (OSError, ValueError) as error:
            self.report(
                {"ERROR"},
                f"The backend could not be removed: {in_words(error) if isinstance(error, OSError) else error}",
            )
            return {"CANCELLED"}
        state.begin_setup(None)
        return {"FINISHED"}


class UVATAR_OT_allow_online(bpy.types.Operator):
    """Let Blender use the internet, as Preferences > System does, to fetch the backend.

    Photos never leave this computer
    """

    bl_idname = "uvatar.allow_online"
    bl_label = "Allow Online Access"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Called by Blender."""
        return not bpy.app.online_access_override

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        context.preferences.system.use_online_access = True
        state.session().problem = None
        bpy.ops.uvatar.setup_backend("INVOKE_DEFAULT")
        return {"FINISHED"}


class UVATAR_OT_open_preferences(bpy.types.Operator):
    """Say where the backend is, or is to be"""

    bl_idname = "uvatar.open_preferences"
    bl_label = "Preferences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        bpy.ops.preferences.addon_show(module=extension)
        return {"FINISHED"}


class UVATAR_OT_show_log(bpy.types.Operator):
    """Show what the backend, or its set-up, has written; it can be read and copied in the Text Editor too"""

    bl_idname = "uvatar.show_log"
    bl_label = "Show Log"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Called by Blender."""
        self.execute(context)
        answer: set[str] = context.window_manager.invoke_popup(self, width=700)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Called by Blender for the pop-up."""
        column = self.layout.column(align=True)
        column.label(text=f"The end of the log; all of it is in the text “{LOG_TEXT}” of the Text Editor", icon="TEXT")
        for line in bpy.data.texts[LOG_TEXT].as_string().splitlines()[-25:]:
            column.label(text=line[:140])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        setup = state.setup()
        said = (
            setting_up.log_tail()
            if setup is not None and setup.problem is not None
            else log_tail() or setting_up.log_tail()
        )
        text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
        text.from_string(said or "The backend was not started by this Blender, or has written nothing.")
        return {"FINISHED"}


def draw_backend(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How things stand with the backend, and the button that helps."""
    session, chosen = state.session(), preferences(context)
    if drawing.draw_setup(layout):
        return
    setup = state.setup()
    failed, problem = setup.problem if setup is not None else None, session.problem
    if failed is not None and drawing.offers_setup(problem):
        problem = None  # the set-up's own says more
    row = layout.row()
    words = row.row()
    words.alignment = "EXPAND"
    if session.link is Link.ON:
        words.label(text=f"Backend {session.version} is ready", icon="LINKED")
        if session.version != __version__:
            row.operator("uvatar.update_backend", text="", icon="FILE_REFRESH")
    elif session.link is Link.CONNECTING:
        words.label(text="Connecting…", icon="SORTTIME")
    else:
        there = bool(chosen.address) or state.installed(chosen.location())
        old = "" if there else state.outdated(chosen.location())
        off = f"Backend {old} is too old" if old else "No backend yet"
        words.label(text="Backend is off" if there else off, icon="UNLINKED")
        button = row.row()
        button.ui_units_x = 4.5
        if chosen.address:
            button.operator("uvatar.connect", text="Connect")
        elif there:
            button.operator("uvatar.start_backend", text="Start")
        elif not drawing.offers_setup(failed) and not drawing.offers_setup(problem):
            name, text = ("update_backend", "Update") if old else ("setup_backend", "Set Up")
            button.operator(f"uvatar.{name}", text=text)
    row.operator("uvatar.open_preferences", text="", icon="PREFERENCES", emboss=False)
    if problem is not None:
        drawing.draw_problem(layout, problem)


CLASSES = (
    UVATAR_OT_start_backend,
    UVATAR_OT_connect,
    UVATAR_OT_setup_backend,
    UVATAR_OT_update_backend,
    UVATAR_OT_cancel_setup,
    UVATAR_OT_remove_backend,
    UVATAR_OT_allow_online,
    UVATAR_OT_open_preferences,
    UVATAR_OT_show_log,
)

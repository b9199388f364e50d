# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that set up, start and connect to the backend, and show its log."""

from __future__ import annotations

import bpy

from .. import __package__ as extension
from ..core import setup as setting_up
from ..core.backend_process import log_tail, stop_and_wait, stop_running
from ..core.environment_stamp import remove_environment
from ..core.problem import OFFLINE, in_words
from ..core.session import Link
from ..protocol.version import __version__
from . import drawing, state
from .preferences import ABOUT, costs, preferences
from .translation import tr

LOG_TEXT = "Uvatar log"
_DIALOG = 420  # width of the set-up's dialog in pixels


def link_up(context: bpy.types.Context, start: bool) -> None:
    """Connect to the backend.

    Args:
        start: start the backend on this computer if it is not running.

    Raises:
        ValueError: the address in the preferences is invalid.
    """
    chosen = preferences(context)
    address = chosen.fixed_address()
    if address is not None:
        state.session().connect(address, chosen.token)
    elif start:
        state.session().start(chosen.location(), chosen.chosen_device())
    else:
        state.session().connect()
    state.watch()


class _LinksUp:
    """Base of the operators that connect to the backend; with ``start``, it is started if it is not running."""

    start: bool

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            link_up(context, self.start)
        except ValueError as error:
            self.report({"ERROR"}, tr(str(error)))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_start_backend(_LinksUp, bpy.types.Operator):
    """Start the backend on this computer and connect to it"""

    bl_idname = "uvatar.start_backend"
    bl_label = "Start Backend"
    start = True


class UVATAR_OT_connect(_LinksUp, bpy.types.Operator):
    """Connect to a backend that is already running"""

    bl_idname = "uvatar.connect"
    bl_label = "Connect"
    start = False


class UVATAR_OT_restart_backend(bpy.types.Operator):
    """Stop the running backend and start it again on the chosen device. Unfinished photos are continued"""

    bl_idname = "uvatar.restart_backend"
    bl_label = "Restart Backend"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Called by Blender."""
        state.session().stop_backend()
        stop_and_wait()
        link_up(context, start=True)
        return {"FINISHED"}


class UVATAR_OT_setup_backend(bpy.types.Operator):
    """Install the backend on this computer in its own environment. Nothing is installed into Blender"""

    bl_idname = "uvatar.setup_backend"
    bl_label = "Set Up Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        setup = state.setup()
        return setup is None or not setup.running

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Show what the set-up needs before it begins."""
        if not bpy.app.online_access:
            return self.execute(context)
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=_DIALOG, confirm_text="Set Up")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the dialog."""
        chosen = preferences(context)
        self.layout.row().prop(chosen, "packages", expand=True)
        self.layout.prop(chosen, "parser")
        for text in (
            ABOUT[chosen.packages],
            costs(chosen.choice()),
            f"The backend will be installed in {chosen.environment()}",
            "If this computer has no Python 3.11 to 3.13, one is downloaded for Uvatar alone (about 100 MB).",
            "You can keep working in the meantime.",
        ):
            drawing.draw_text(self.layout.column(align=True), text, width=_DIALOG)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not bpy.app.online_access:
            state.session().problem = OFFLINE
            return {"CANCELLED"}
        state.session().problem = None
        state.begin_setup(setting_up.Setup(preferences(context).setup_options()))
        return {"FINISHED"}


class UVATAR_OT_update_backend(bpy.types.Operator):
    """Stop the running backend and install the version that belongs to this add-on"""

    bl_idname = "uvatar.update_backend"
    bl_label = "Update Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return UVATAR_OT_setup_backend.poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        state.session().stop_backend()
        stop_running()
        state.session().problem = None
        bpy.ops.uvatar.setup_backend("INVOKE_DEFAULT")
        return {"FINISHED"}


class UVATAR_OT_cancel_setup(bpy.types.Operator):
    """Cancel the set-up and remove what was installed so far"""

    bl_idname = "uvatar.cancel_setup"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        setup = state.setup()
        if setup is not None:
            setup.cancel()
        return {"FINISHED"}


class UVATAR_OT_remove_backend(bpy.types.Operator):
    """Remove the backend from this computer. Results and the models you added are kept"""

    bl_idname = "uvatar.remove_backend"
    bl_label = "Remove Backend"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_confirm(self, event)
        return answer

    def execute(self, context: bpy.types.Context) -> set[str]:
        state.session().stop_backend()
        try:
            remove_environment(preferences(context).environment())
        except (OSError, ValueError) as error:
            self.report(
                {"ERROR"},
                tr(f"The backend could not be removed: {in_words(error) if isinstance(error, OSError) else error}"),
            )
            return {"CANCELLED"}
        state.begin_setup(None)
        return {"FINISHED"}


class UVATAR_OT_open_preferences(bpy.types.Operator):
    """Choose where the backend is or will be installed"""

    bl_idname = "uvatar.open_preferences"
    bl_label = "Preferences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        bpy.ops.preferences.addon_show(module=extension)
        return {"FINISHED"}


class UVATAR_OT_show_log(bpy.types.Operator):
    """Show the log of the backend or its set-up, and open it in the Text Editor for reading and copying"""

    bl_idname = "uvatar.show_log"
    bl_label = "Show Log"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.execute(context)
        answer: set[str] = context.window_manager.invoke_popup(self, width=700)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the pop-up."""
        column = self.layout.column(align=True)
        column.label(
            text=tr(f"The end of the log; the full log is the text “{LOG_TEXT}” in the Text Editor"), icon="TEXT"
        )
        for line in bpy.data.texts[LOG_TEXT].as_string().splitlines()[-25:]:
            column.label(text=line[:140])

    def execute(self, context: bpy.types.Context) -> set[str]:
        setup = state.setup()
        said = (
            setting_up.log_tail()
            if setup is not None and setup.problem is not None
            else log_tail() or setting_up.log_tail()
        )
        text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
        text.from_string(said or "The backend was not started by this Blender, or it has not written anything.")
        return {"FINISHED"}


def draw_backend(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the state of the backend, with the button that helps where something is wrong."""
    session, chosen = state.session(), preferences(context)
    if drawing.draw_setup(layout):
        return
    setup = state.setup()
    failed, problem = setup.problem if setup is not None else None, session.problem
    if failed is not None and drawing.offers_setup(problem):
        problem = None  # the set-up's own message says more
    row = layout.row()
    words = row.row()
    words.alignment = "EXPAND"
    if session.link is Link.ON:
        words.label(text=tr(f"Backend {session.version} is ready"), icon="LINKED")
        if session.version != __version__:
            row.operator("uvatar.update_backend", text="", icon="FILE_REFRESH")
    elif session.link is Link.CONNECTING:
        words.label(text="Connecting…", icon="SORTTIME")
    else:
        there = bool(chosen.address) or state.installed(chosen.location())
        old = "" if there else state.outdated(chosen.location())
        off = f"Backend {old} is too old" if old else "No backend yet"
        words.label(text=tr("Backend is off" if there else off), icon="UNLINKED")
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
    if session.link is Link.ON and session.computes_on is not None:
        drawing.draw_text(layout, f"Running on {session.computes_on.on}")
        for note in session.computes_on.notes:
            drawing.draw_text(layout.column(align=True), note, "INFO")
    if problem is not None:
        drawing.draw_problem(layout, problem)


CLASSES = (
    UVATAR_OT_start_backend,
    UVATAR_OT_connect,
    UVATAR_OT_restart_backend,
    UVATAR_OT_setup_backend,
    UVATAR_OT_update_backend,
    UVATAR_OT_cancel_setup,
    UVATAR_OT_remove_backend,
    UVATAR_OT_open_preferences,
    UVATAR_OT_show_log,
)

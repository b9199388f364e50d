# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a run, for all buttons that do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from ..core.jobs import JobGroup
from ..core.session import Link
from . import state
from .backend import link_up


def can_begin(operator: type[bpy.types.Operator]) -> bool:
    """Whether no run is in progress, for an operator's `poll`."""
    if state.session().running:
        operator.poll_message_set("The last run is still in progress")
        return False
    return True


def linked(operator: bpy.types.Operator, context: bpy.types.Context) -> bool:
    """Ensure that there is a connection or one is being made; if not, the operator reports why."""
    if state.session().link is not Link.OFF:
        return True
    try:
        link_up(context, start=True)
    except ValueError as error:
        operator.report({"ERROR"}, str(error))
        return False
    return True


def begin(
    jobs: Sequence[tuple[Sequence[Path], Mapping[str, Any]]], write: Callable[[], None] | None = None
) -> JobGroup:
    """Start `Session.reconstruct` and watch it; needs `linked`."""
    state.importer().begin_run()
    run = state.session().reconstruct(jobs, write)
    state.watch()
    return run

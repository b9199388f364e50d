# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a run, for all operators that do so."""

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
    """Whether no run is in progress; for an operator's `poll`, whose message it sets."""
    if state.session().running:
        operator.poll_message_set("The last run is still in progress")
        return False
    return True


def linked(operator: bpy.types.Operator, context: bpy.types.Context) -> bool:
    """Make sure that there is a connection or that one is being made.

    Returns:
        False if there cannot be one; the operator has then reported why.
    """
    if state.session().link is not Link.OFF:
        return True
    try:
        link_up(context, start=True)
    except ValueError as error:
        operator.report({"ERROR"}, str(error))
        return False
    return True


def begin(
    jobs: Sequence[tuple[Sequence[Path], Mapping[str, Any]]],
    write: Callable[[], None] | None = None,
    keep_results: bool = False,
) -> JobGroup:
    """Start a run with `Session.reconstruct` and the timer that follows it; call `linked` first.

    ``keep_results``: go on showing the results of the last run.
    """
    if not keep_results:
        state.importer().begin_run()
    run = state.session().reconstruct(jobs, write)
    state.watch()
    return run

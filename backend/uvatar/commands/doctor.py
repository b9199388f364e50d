"""The command that checks the installation: `uvatar doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from uvatar.commands.common import EXIT_FAILED, DataOption, DeviceOption, console_of


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Also make a small avatar and compare it with the expected one.")
    ] = False,
    device: DeviceOption = None,
    data: DataOption = None,
) -> None:
    """Check Python, packages, GPU, memory, weights, disk, ports, server and Blender, and say what to fix.

    Exit code 1: Uvatar cannot work as it is.
    """
    import json
    from dataclasses import asdict

    from uvatar.commands.doctor_checks import GOOD, PROBLEM, examine
    from uvatar.protocol import discovery

    console = console_of()
    findings = []
    for finding in examine(data or discovery.data_folder(), self_test, device):
        findings.append(finding)
        if not as_json:
            style = {GOOD: "green", PROBLEM: "red"}.get(finding.state, "yellow")
            console.print(f"{finding.state:8}", style=style, end="")
            console.print(f"{finding.subject}: {finding.words}", highlight=False, markup=False, soft_wrap=True)
            if finding.fix:
                console.print(f"        {finding.fix}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    if any(finding.state == PROBLEM for finding in findings):
        raise typer.Exit(EXIT_FAILED)

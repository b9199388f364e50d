"""The command that lists weights and models: `uvatar weights`."""

from __future__ import annotations

import typer

from uvatar.commands.common import EXIT_FAILED, console_of, fatal


def weights() -> None:
    """List and check the installed weights and models, with their licences, and show where to put your own.

    Exit code 1: a file is broken.
    """
    from rich.table import Table

    from uvatar.commands import weights_report
    from uvatar.runtime.weights import WeightsError, models_folder, weights_folder

    console = console_of()
    try:
        folder = weights_folder()
    except WeightsError as error:
        raise fatal(console, error) from error
    models = models_folder()
    broken = False
    parts = (
        ("Installed with Uvatar", folder, weights_report.shipped(folder)),
        ("Your own", models, weights_report.brought(models)),
    )
    for title, place, items in parts:
        console.print(f"{title}: {place}", soft_wrap=True)
        table = Table("File", "What", "State", "Licence")
        for item in items:
            table.add_row(item.name, item.what, item.state, item.licence)
        console.print(table)
        for item in items:
            if item.remark:
                style = "red" if item.state == weights_report.BROKEN else None
                console.print(f"{item.name}: {item.remark}", style=style, soft_wrap=True)
        broken |= any(item.state == weights_report.BROKEN for item in items)
    console.print(
        "Set UVATAR_MODELS to use another folder for your own files, for example ROMP's: ~/.romp", soft_wrap=True
    )
    if broken:
        raise typer.Exit(EXIT_FAILED)

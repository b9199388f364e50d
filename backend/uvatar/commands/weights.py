"""The command that lists weights and models: `uvatar weights`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvatar.commands.common import EXIT_FAILED, console_of, fatal

if TYPE_CHECKING:
    from rich.console import Console


def weights(
    licences: Annotated[
        bool,
        typer.Option("--licences", help="List the licences of weights, packages and the libraries in them instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --licences: print the list as JSON.")] = False,
    download_parser: Annotated[
        bool,
        typer.Option(
            "--download-parser",
            help="Download Google's parser of people (Apache-2.0, 16 MB) into your models folder instead.",
        ),
    ] = False,
) -> None:
    """List and check the installed weights and models, with their licences, and show where to put your own.

    Exit code 1: a file is broken, or, with --licences, something under the GPL is loaded into Uvatar's process.
    """
    from rich.table import Table

    from uvatar.commands import weights_report
    from uvatar.runtime.weights import WeightsError, models_folder, weights_folder

    console = console_of()
    try:
        folder = weights_folder()
    except WeightsError as error:
        raise fatal(console, error) from error
    if licences:
        return _list_licences(console, folder, as_json)
    models = models_folder()
    if download_parser:
        return _download_parser(console, models)
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


def _download_parser(console: Console, models: Path) -> None:
    from uvatar.parsing.selfie_multiclass import FILE, URL, download

    try:
        path = download(models)
    except (OSError, ValueError) as error:
        what = f"{FILE} could not be installed from {URL}: {error}"
        raise fatal(console, RuntimeError(what)) from error
    console.print(f"Installed {path}", soft_wrap=True)


def _list_licences(console: Console, folder: Path, as_json: bool) -> None:
    import json
    from dataclasses import asdict
    from importlib.metadata import PackageNotFoundError

    from rich.table import Table

    from uvatar.commands import licences

    try:
        found = licences.parts(folder)
    except PackageNotFoundError as error:
        what = "Uvatar is not installed as a package here, so its packages are not known."
        raise fatal(console, RuntimeError(what)) from error
    under_gpl = licences.gpl(found)
    if as_json:
        typer.echo(json.dumps([asdict(part) for part in found], indent=1))
    else:
        titles = {"weights": "Weights", "package": "Packages", "library": "Libraries that lie in packages"}
        for kind, title in titles.items():
            console.print(title)
            table = Table("Name", "Version", "Needed for" if kind == "package" else "In", "Licence")
            for part in found:
                if part.kind == kind:
                    table.add_row(part.name, part.version, part.origin, part.licence)
            console.print(table)
        console.print("The files with their texts are named by `uvatar weights --licences --json`.", soft_wrap=True)
    for part in under_gpl:
        where = f" in {part.origin}" if part.kind == "library" else ""
        console_of(stderr=True).print(f"{part.name}{where} is under the GPL.", style="red", soft_wrap=True)
    if under_gpl:
        raise typer.Exit(EXIT_FAILED)

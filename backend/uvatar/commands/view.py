"""The command that shows an avatar in a browser: `uvatar view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uvatar.commands.common import EXIT_FAILED, console_of, fatal


def view(
    folder: Annotated[
        Path, typer.Argument(help="An avatar's folder, or a folder of avatars.", exists=True, file_okay=False)
    ],
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Show an avatar in the browser, from all sides and in motion. Works without a network.

    Opens avatar.html in the avatar's folder, which is made if it is missing. Of a folder of several avatars, it lists
    their folders.
    """
    from uvatar.files.pages import avatars_in, page_in
    from uvatar.protocol.errors import UvatarError

    console = console_of()
    try:
        avatars = avatars_in(folder)
        if len(avatars) > 1:
            for avatar in avatars:
                console.print(str(avatar.folder), soft_wrap=True)
            console.print("There are several avatars. Name the folder of one to open it.")
            return
        page = page_in(avatars[0]).resolve()
    except (UvatarError, OSError) as error:
        raise fatal(console, error) from error
    console.print(str(page), soft_wrap=True)
    if show and typer.launch(str(page)):
        console.print("No browser was found. Open the page yourself.", soft_wrap=True)
        raise typer.Exit(EXIT_FAILED)

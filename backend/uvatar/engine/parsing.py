"""What each pixel of a person shows, where a parser is installed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uvatar.data.view import View
from uvatar.parsing.parsers import ParserError, parsed
from uvatar.protocol.options import Options

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


def with_parsing(view: View, engine: Engine, options: Options) -> tuple[View, tuple[str, ...]]:
    """The view with what the parser sees, and a note where it failed: then colours alone tell materials apart."""
    if engine.parser is None or options.fast or view.person.parsing is not None:
        return view, ()
    try:
        parsing = parsed(engine.parser, view.photo, view.person)
    except ParserError as error:
        return view, (f"{error} Skin, hair and clothes were told apart by their colours alone.",)
    return replace(view, person=replace(view.person, parsing=parsing)), ()

"""What each pixel of a person shows, where a parser is installed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.parsing.parsers import Parser, ParserError, parsed
from uvatar.perception.background import without_background
from uvatar.protocol.options import Options

if TYPE_CHECKING:
    from uvatar.engine.engine import Engine


def parsed_people(people: Sequence[Person], photo: Photo, engine: Engine, options: Options) -> list[Person]:
    """The people with what the parser sees, and with masks that leave out what it is sure is background.

    Whom it fails on stays as found; `with_parsing` tries again, and says so.
    """
    parser = engine.parser
    if parser is None or options.fast:
        return list(people)
    with ThreadPoolExecutor(engine.threads) as pool:
        return list(pool.map(lambda person: _parsed_person(person, photo, parser), people))


def with_parsing(view: View, engine: Engine, options: Options) -> tuple[View, tuple[str, ...]]:
    """The view with what the parser sees, and a note where it failed: then colours alone tell materials apart."""
    if engine.parser is None or options.fast or view.person.parsing is not None:
        return view, ()
    try:
        parsing = parsed(engine.parser, view.photo, view.person)
    except ParserError as error:
        return view, (f"{error} Skin, hair and clothes were told apart by their colours alone.",)
    return replace(view, person=replace(view.person, parsing=parsing)), ()


def _parsed_person(person: Person, photo: Photo, parser: Parser) -> Person:
    try:
        found = replace(person, parsing=parsed(parser, photo, person))
    except ParserError:
        return person
    return without_background(found, photo)

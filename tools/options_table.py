"""Write docs/options.md, the table of job options, from their declarations.

You need it after adding or changing an option; a test fails until you run it.

    python tools/options_table.py
"""

from __future__ import annotations

from pathlib import Path

from uvatar.commands.job_options import spelling
from uvatar.protocol.option import Option
from uvatar.protocol.options import declared

PAGE = Path(__file__).resolve().parents[1] / "docs" / "options.md"
_HEAD = """# The options of a job

Made from `backend/uvatar/protocol/options.py`, where each option is declared, by `python tools/options_table.py`.
Clients send them by their names ([protocol](protocol.md)); `uvatar reconstruct` and `uvatar batch` have flags for them,
and Blender's panel shows the usual ones.

| option | values | default | what it does | command line | in Blender |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The page, with a row for each option."""
    return _HEAD + "".join(_row(name, option) for name, option in declared().items())


def _row(name: str, option: Option) -> str:
    flag, panel = option.flag, option.panel
    commands = "" if flag is None or len(flag.commands) > 1 else f" ({', '.join(flag.commands)} only)"
    cells = (
        f"`{name}`",
        "as in [the protocol](protocol.md)" if option.people else option.describe(),
        "nothing" if option.default is None else str(option.default),
        option.about,
        "" if flag is None else f"`{spelling(name, option)}`{commands}",
        "" if panel is None else panel.label or name.capitalize(),
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")

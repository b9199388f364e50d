"""Every note of the backend is in the table of what can be done about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from uvatar_blender.core.note_fixes import LIMBS, Fix, fix_of, joints_of

BACKEND = Path(__file__).resolve().parents[2] / "backend" / "uvatar"
# Packages that make notes, and sentences in their modules that are none: advice in errors, messages of other kinds.
MAKERS = ("engine", "fitting", "clothing", "texturing", "transfer", "runtime", "texture_predictor", "perception")
OTHERS = re.compile(
    r"\{\} people were found, and \{\}\. \{\}\.$|No avatar could be made|If it does show|Set up the backend"
    r"|The packages are the tested|Packages differ"
    r"|Replace or remove the file|Install |There is not enough memory|\{\} needs PyTorch"
)
# Parts of a note that is put together.
PARTS = {
    "Crop the photo into parts for the others": "9 people were found, and avatars were made of the 4 most prominent "
    "ones. {}.",
    "Increase the option max_people (at most {}) for more": "9 people were found, and avatars were made of the 4 most "
    "prominent ones. {}.",
    "{} more in {} looked different and {} left out.": "3 more in a.jpg looked different and were left out.",
    "{} left out, because it is not certain: turn on the option uncertain to make avatars of all.": "3 more may be "
    "people and were left out, because it is not certain: turn on the option uncertain to make avatars of all.",
    "One more may be a person and was": "{} left out, because it is not certain: turn on the option uncertain to make "
    "avatars of all.",
    "{} more may be people and were": "{} left out, because it is not certain: turn on the option uncertain to make "
    "avatars of all.",
}
SINGLE = (
    "One more in {} looked different and was left out. 9 people were found, and an avatar was made of the most "
    "prominent one. Increase the option max_people "
)


def written(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def sentences(node: ast.AST) -> Iterator[str]:
    """Sentences in the code below a node, without docstrings, errors and logging."""
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
        if name.endswith("Error") or name in (
            "option",
            "Flag",
            "Panel",
            "add_argument",
            "warning",
            "info",
            "UvatarError",
        ):
            return
    text = written(node)
    if text is None:
        for child in ast.iter_child_nodes(node):
            yield from sentences(child)
    elif re.match(r"[A-Z{]", text) and text.count(" ") > 2 and (text.endswith((".", ": {}")) or text in PARTS):
        yield text


def notes() -> list[str]:
    """All sentences in the modules of the backend that speak of notes."""
    found: dict[str, None] = {}
    for package in MAKERS:
        for path in sorted((BACKEND / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if re.search(r"note|remark", source, re.IGNORECASE):
                found |= dict.fromkeys(sentences(ast.parse(source)))
    return [text for text in found if not OTHERS.match(text)]


def test_every_note_has_a_fix_or_is_known_to_have_none() -> None:
    there = notes()
    assert len(there) > 20 and "Given a child's proportions." in there
    lacking = []
    for text in there:
        whole = PARTS[text].format(text) if text in PARTS else text
        if fix_of(whole.replace("{}", "3")) is None:
            lacking.append(text)
    assert not lacking, "add these notes to core/note_fixes.py: " + "; ".join(lacking)


def test_no_entry_of_the_table_is_left_over() -> None:
    from uvatar_blender.core.note_fixes import NOTES

    there = [PARTS[text].format(text) if text in PARTS else text for text in notes()]
    for english, *_ in NOTES:
        start = max(english.split("{}"), key=len).strip(" .")
        assert any(start in text or text.strip(" .{}") in english for text in [*there, "missing. ", SINGLE]), english


@pytest.mark.parametrize(
    ("note", "fix", "photo"),
    [
        ("Outside the photo: left leg, right leg. Unseen parts have a typical pose.", Fix.POSE, ""),
        ("Given a child's proportions.", Fix.HEIGHT, ""),
        ("One more may be a person and was left out, because it is not certain: turn on the option uncertain to make "
         "avatars of all.", Fix.UNCERTAIN, ""),
        ("Nobody in my dog.jpg looks like the person in a.jpg, so it was left out. If it does show the same person, "
         "for example in other clothes, make a separate avatar from it.", Fix.SEPARATE, "my dog.jpg"),
        ("2 views of one person in sheet.png became one avatar.", Fix.SEPARATE, "sheet.png"),
        ("40 people were found, and avatars were made of the 32 most prominent ones. Increase the option max_people "
         "(at most 64) for more.", Fix.EVERYBODY, ""),
    ],
)  # fmt: skip
def test_what_is_done(note: str, fix: Fix, photo: str) -> None:
    found = fix_of(note)
    assert found is not None and (found.fix, found.photo) == (fix, photo)


def test_limbs_and_sentences_that_are_not_known() -> None:
    assert joints_of("Hidden, given a typical pose: left arm, right leg.") == (13, 16, 18, 20, 2, 5, 8)
    assert fix_of("Something that a later version says.") is None
    from uvatar.fitting.report import LIMBS as NAMED

    assert set(LIMBS) == set(NAMED)

"""The texts of Blender's panel that translations must have: what is missing in the files, and what is left over.

    python tools/translations.py            # lists both for each language
    python tools/translations.py --english  # lists the English texts

The texts are found in the source, so a new button needs no list: names and tooltips of operators, panels, properties
and options, labels, messages and errors. {} stands for a name or a number.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from uvatar.protocol.expressions import MOODS, VISEMES
from uvatar.protocol.options import declared
from uvatar.protocol.rig import FINGER_POSES

ROOT = Path(__file__).resolve().parents[1]
ADDON = ROOT / "blender_addon" / "uvatar_blender"
sys.path.insert(0, str(ADDON.parent))

from uvatar_blender.core.export_presets import PRESETS  # noqa: E402
from uvatar_blender.core.jobs import STAGES  # noqa: E402
from uvatar_blender.core.note_fixes import BUTTONS, NOTES, PARTS  # noqa: E402
from uvatar_blender.core.translation import FOLDER, LANGUAGES  # noqa: E402

_KEYWORDS = {"text", "name", "description", "heading"}  # of calls in `ui` whose values are shown
_LISTS = {"items", "NAMINGS", "LABELS"}  # of (identifier, name, tooltip)
_CALLS = {
    "draw_text": 1,
    "report": 1,
    "poll_message_set": 0,
    "Slider": 0,
    "tr": 0,
    "_tell": 1,
}  # from which argument on
_ERRORS = {"RigError", "MotionError", "Problem", "OSError", "SetupError"}
_ATTRIBUTES = {"bl_label", "bl_description"}
# What is composed at run time, or comes from the backend while it works.
_OTHERS = (
    "Reading the photo", "Looking for people", "Predicting bodies", "Fitting {}", "Fitting {} in {}",
    "Fitting one body to {} views of a person", "Fitting clothes and texturing {}", "Fitting clothes in {}",
    "Textured person {} of {}", "Merging the views into one texture", "Preparing the SMPL body", "Sent",
    "Seen", "Mirrored", "Completed", "Predicted", "none", "trainer", "flat", "boot", "heel", "Inseam",
    "Chest", "Waist", "Hip", "Arm", "the file does not exist", "permission denied",
    "the disk is read-only", "the disk is full", "it is a folder",
)  # fmt: skip
_NOT_TEXTS = re.compile(r"(\{\}|[\W\d_]|\b(px|T|A|X|Y|Z|SMPL|Mixamo|Unreal|Unity|VRM|Rigify|glTF|cm|s|min)\b)*")
_IDENTIFIERS = re.compile(r"[A-Z_]{3,}|(\w+_|[A-Za-z]+[a-z][A-Z]|DEF-|mixamorig).*")  # icons, names of bones


def english_texts() -> list[str]:
    """Return all texts that are to be translated, each once, in the order of the source."""
    found: dict[str, None] = {}
    for folder in ("ui", "scene", "core"):
        for path in sorted((ADDON / folder).glob("*.py")):
            found |= dict.fromkeys(_texts(ast.parse(path.read_text(encoding="utf-8")), whole=folder == "ui"))
    for option in declared().values():
        if option.panel is not None:
            panel = option.panel
            found |= dict.fromkeys((panel.label, panel.tooltip or option.about.removesuffix("."), panel.group))
            for _, name, tip in (panel.choices or {}).values():
                found |= dict.fromkeys((name, tip))
    for name, option in declared().items():
        if option.panel is not None and not option.panel.label:
            found[name.replace("_", " ").capitalize()] = None
    for preset in PRESETS.values():
        found |= dict.fromkeys((preset.button, preset.description))
    found |= dict.fromkeys(BUTTONS.values()) | dict.fromkeys(note for note, *_ in NOTES)
    found |= dict.fromkeys(PARTS)
    found |= dict.fromkeys(STAGES.values()) | dict.fromkeys(_OTHERS)
    found |= dict.fromkeys(name.capitalize() for name in (*FINGER_POSES, *MOODS))
    found |= dict.fromkeys(viseme.replace("viseme_", "Speech: ") for viseme in VISEMES)
    return [text for text in found if not _NOT_TEXTS.fullmatch(text) and not _IDENTIFIERS.fullmatch(text)]


def catalogue_texts(language: str) -> dict[str, str]:
    """Return the translations of a language by their English texts."""
    texts: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def _texts(tree: ast.Module, whole: bool) -> Iterator[str]:
    """Find the texts of a module; all of the user interface, or only errors and messages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and whole:
            yield from _class_texts(node)
        elif isinstance(node, ast.Call):
            yield from _call_texts(node, whole)
        elif isinstance(node, ast.Assign) and whole and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in _LISTS or node.targets[0].id.endswith("_ITEMS"):
                yield from _items(node.value)
            elif node.targets[0].id in ("EDITED", "text", "off", "_HELP"):
                yield from _strings(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name == "act":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from _strings(inner.value)


def _call_texts(node: ast.Call, whole: bool) -> Iterator[str]:
    """Yield what a call draws, reports, raises or declares."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _ERRORS or (name in _CALLS and (whole or name == "_tell")):
        for argument in node.args[_CALLS.get(name, 0) :]:
            yield from _strings(argument)
    for keyword in node.keywords if whole else ():
        if keyword.arg in _KEYWORDS and name != "new":
            yield from _strings(keyword.value)
        elif keyword.arg in _LISTS:
            yield from _items(keyword.value)


def _class_texts(node: ast.ClassDef) -> Iterator[str]:
    """Yield label and tooltip of an operator or a panel; an operator's docstring is its tooltip if it has no other."""
    bases = {base.attr for base in node.bases if isinstance(base, ast.Attribute)}
    own = {
        item.targets[0].id: item.value
        for item in node.body
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name)
    }
    for attribute in _ATTRIBUTES & own.keys():
        yield from _strings(own[attribute])
    if "Operator" in bases and "bl_description" not in own:
        yield re.sub(r"\s+", " ", ast.get_docstring(node) or "")


def _items(node: ast.expr) -> Iterator[str]:
    """Yield names and tooltips of the entries of a menu."""
    for entry in ast.walk(node):
        if isinstance(entry, ast.Tuple) and len(entry.elts) >= 3:
            for part in entry.elts[1:3]:
                yield from _strings(part)


def _strings(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may have."""
    if isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _strings(value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", action="store_true", help="list the English texts")
    if parser.parse_args().english:
        print("\n".join(json.dumps(text, ensure_ascii=False) for text in english_texts()))
        sys.exit()
    wanted = english_texts()
    for language in LANGUAGES:
        there = catalogue_texts(language)
        for text in (text for text in wanted if text not in there):
            print(f"{language} lacks: {text}")
        for text in (text for text in there if text not in wanted):
            print(f"{language} no longer needs: {text}")

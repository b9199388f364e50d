"""The page of an avatar that is already on the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uvatar.body import load_open_body
from uvatar.files.avatar_folders import SUMMARY, AvatarFolder, read_avatar
from uvatar.files.export import readable_json
from uvatar.gltf.clips import figure_of
from uvatar.gltf.presets import PRESETS
from uvatar.mesh_predictor.prediction import OPEN_BODY
from uvatar.protocol.atomic_files import write_atomically
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.photo_lists import shown
from uvatar.results.present import body_entry
from uvatar.viewer import PAGE
from uvatar.viewer.facts import facts_of, source_map
from uvatar.viewer.page import Settings, avatar_page, page_of

_ONLY_FIGURES = (
    "This folder has no file with the avatar's form. What you see is its body and texture; the form of clothes, hair "
    "and face is missing."
)


def avatars_in(folder: Path) -> list[AvatarFolder]:
    """The avatar in a folder, or those in the folders directly in it, by name.

    Raises:
        UvatarError: there is none.
    """
    places = [folder, *(sorted(folder.iterdir()) if folder.is_dir() else [])]
    avatars = [avatar for avatar in map(read_avatar, places) if avatar]
    if not avatars:
        message = f"{shown(str(folder))} is no avatar's folder, and there is none in it."
        raise UvatarError(message, Code.UNREADABLE, "Name a folder that `uvatar reconstruct` or `uvatar batch` wrote.")
    return avatars[:1] if avatars[0].folder == folder else avatars


def page_in(avatar: AvatarFolder) -> Path:
    """An avatar's page, which is written if it is missing, and then listed in result.json.

    Raises:
        UvatarError: the folder's files are damaged, or it has none of which a page can be made.
        OSError: the page cannot be written.
    """
    path = avatar.folder / PAGE
    if path.is_file():
        return path
    try:
        summary = json.loads((avatar.folder / SUMMARY).read_text(encoding="utf-8"))
        page = _made(avatar.folder, summary)
        data = page.encode("utf-8", "replace")  # a folder's name may be no valid text
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        message = f"The files in {shown(str(avatar.folder))} are damaged: {error!r}."
        raise UvatarError(message, Code.RESULT_DAMAGED, "Make the avatar again from its photo.") from error
    if PAGE not in avatar.files:  # before it is there, so that it is deleted with the others in any case
        summary["files"] = [*(name for name in avatar.files if name != SUMMARY), PAGE, SUMMARY]
        write_atomically(avatar.folder / SUMMARY, [readable_json(summary).encode()])
    write_atomically(path, [data])
    return path


def _made(folder: Path, summary: Mapping[str, Any]) -> str:
    person, camera, notes = summary["person"], summary["camera"], list(summary.get("notes", ()))
    rigged, open_body = person["body_model"] == OPEN_BODY, body_entry(load_open_body())
    body = open_body if rigged else {}
    file = next((folder / preset.file for preset in PRESETS.values() if (folder / preset.file).is_file()), None)
    if file is None:
        return _of_figures(folder, person, body, camera, notes)
    # Motions are made for the body without its clothes; those of a body that is not here are the mean body's.
    betas = np.asarray(person["betas"], np.float32) if rigged else np.zeros(len(open_body["beta_names"]), np.float32)
    figure = figure_of(_bare(open_body, {"betas": betas, "pose": np.zeros((24, 3), np.float32)}))
    if not rigged:
        figure = replace(figure, finger_axes=None)
    facts = facts_of(person, camera.get("up"), figure, str(summary.get("version")), notes)
    maps = []
    if (folder / "texture_source.png").is_file():
        with Image.open(folder / "texture_source.png") as picture:
            maps.append(source_map(picture, Settings().map_side))
    return page_of(folder.name, {**facts, "photo": None, "maps": maps}, file.read_bytes())


def _of_figures(
    folder: Path, person: Mapping[str, Any], body: Mapping[str, Any], camera: Mapping[str, Any], notes: list[str]
) -> str:
    """The page of a body without its form of clothes, hair and face."""
    if not body:
        message = f"{shown(str(folder))} has no .glb file, and its body is not Uvatar's own."
        raise UvatarError(message, Code.UNREADABLE, "Make the avatar again from its photo.")
    texture = folder / "texture.png"
    arrays = {key: np.asarray(person[key], np.float32) for key in ("betas", "pose") if person.get(key) is not None}
    whole = {
        **_bare(body, {**person, **arrays}),
        "texture_png": texture.read_bytes() if texture.is_file() else b"",
    }
    return avatar_page(whole, folder.name, camera.get("up"), b"", [_ONLY_FIGURES, *notes])


def _bare(body: Mapping[str, Any], person: Mapping[str, Any]) -> dict[str, Any]:
    """A person whose form is the body's alone, without a texture."""
    return {**body, **person, "parts": (), "offsets": np.zeros_like(body["template"]), "texture_png": b""}

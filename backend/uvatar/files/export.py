"""Writes a photo's result as files, in one folder per person. docs/result-schema.md describes them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError

from uvatar.files.avatar_folders import (
    STORED_RESULT,
    SUMMARY,
    TEMPORARY_PREFIX,
    FolderNames,
    delete_abandoned,
    delete_avatar,
    is_avatar_name,
    put_in_place,
    read_avatar,
    stem_of,
)
from uvatar.gltf.presets import LEVELS, Preset
from uvatar.protocol import message_files
from uvatar.protocol.people import people_of
from uvatar.runtime.spawn import environment, module_command
from uvatar.viewer import PAGE
from uvatar.viewer.maps import coloured_labels

SUMMARY_SCHEMA = 1  # of result.json
_PICTURES = {
    "texture.png": "texture_png",
    "texture_normals.png": "normals_png",
    "overlay.jpg": "overlay_jpeg",
    "turntable.png": "turntable_png",
}
BLEND = "avatar.blend"
MAX_BLENDERS = 4  # at once; each takes a core and some 400 MB
BLENDER_SECONDS = 300.0  # for one person; much longer than it takes

# Keys of a person's entry in the result that go into result.json unchanged; arrays become lists.
_PERSON_KEYS = (
    "id",
    "body_model",
    "box",
    "confidence",
    "beta_names",
    "betas",
    "joint_names",
    "pose",
    "hand_pose",
    "jaw_pose",
    "eye_pose",
    "expression",
    "shoes",
    "transl",
    "measurements",
    "metrics",
)


class BlenderError(RuntimeError):
    """Blender could not write a file; the message is the end of its output."""


@dataclass(frozen=True)
class PersonFiles:
    """The files written for one person.

    Attributes:
        folder: the person's folder.
        summary: the content of result.json.
        about_photo: the notes that concern the photo as a whole, the same for all its people.
        problem: why avatar.blend or files for engines could not be written; None if all that were requested were.
    """

    folder: Path
    summary: dict[str, Any]
    problem: str | None = None
    about_photo: tuple[str, ...] = ()


@dataclass
class Exporter:
    """Writes results below one folder, each person into a separate folder ``<photo>_p<number>``.

    Avatars that an earlier run made from the same photo are replaced; another photo of the same name gets other folders
    (docs/files.md).

    Attributes:
        out: the output folder.
        blender: command that runs the add-on's headless exporter (see `blender_command`); None leaves out its file.
        glb: the .glb files to write.
        page: whether to write the page that shows the avatar.
        lods: whether each of ``glb`` is also written at lower levels of detail.
    """

    out: Path
    blender: list[str] | None = None
    glb: Sequence[Preset] = ()
    page: bool = False
    lods: bool = False
    _folder_names: FolderNames | None = None

    def write(
        self,
        result: Mapping[str, Any],
        stem: str | None = None,
        own: Collection[str] = (),
        made_of: Sequence[str] = (),
        only: int | None = None,
    ) -> list[PersonFiles]:
        """Write the people of a photo's result.

        Args:
            result: docs/result-schema.md.
            stem: stem of the folders' names, by default made from the photo's name; a number is added if another
                photo has it.
            own: names of folders that are this photo's from an earlier run, even if the file has changed since.
            made_of: sha256 of all photos, if several make one avatar.
            only: number of the only person to write; the others' folders stay as they are.

        Raises:
            OSError: a file cannot be written. The folders of some people may be new then, the others are unchanged.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if self._folder_names is None:
            delete_abandoned(self.out)
            self._folder_names = FolderNames(self.out)
        suffix = ".npz" if result.get("romp") else ""
        wanted = stem or stem_of(Path(result["photo"]["name"]).stem)
        stem, older = self._folder_names.give(wanted, result["photo"]["digest"], own, suffix)
        beside = {name for avatar in older for name in avatar.beside} | ({stem + suffix} if suffix else set())
        # Blender reads the result, which contains the photo, from a file in the user's folder, never in the system's.
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=self.out) as temporary_folder:
            stored = Path(temporary_folder) / STORED_RESULT
            message_files.dump(dict(result), stored)
            if suffix:
                save_romp_results(result["romp"], stored.with_suffix(suffix))
                os.replace(stored.with_suffix(suffix), self.out / (stem + suffix))
            make = partial(self._write_person, result, stored, stem, sorted(beside), made_of)
            with ThreadPoolExecutor(min(MAX_BLENDERS, os.cpu_count() or 1)) as pool:
                people = list(pool.map(make, range(len(result["people"])) if only is None else [only]))
        if only is not None:
            return people
        written = {person.folder.name for person in people}
        for avatar in (*older, *filter(None, (read_avatar(self.out / name) for name in own if is_avatar_name(name)))):
            if avatar.folder.name not in written:
                delete_avatar(replace(avatar, beside=()))
        return people

    def _write_person(
        self,
        result: Mapping[str, Any],
        stored: Path,
        stem: str,
        beside: Sequence[str],
        made_of: Sequence[str],
        number: int,
    ) -> PersonFiles:
        person = people_of(result)[number]
        person_folder = stored.parent / str(number)
        person_folder.mkdir()
        files = [name for name, key in _PICTURES.items() if person.get(key)]
        for name in files:
            (person_folder / name).write_bytes(person[_PICTURES[name]])
        if person.get("source_png"):
            coloured_labels(person["source_png"]).save(person_folder / "texture_source.png")
            files.append("texture_source.png")
        for part in person.get("parts", ()):
            if part.get("texture"):
                files.append(_texture_name(part))
                (person_folder / files[-1]).write_bytes(part["texture"])
        problem = None
        try:
            files += self._write_glb(person, f"{stem}_p{number}", person_folder)
            files += self._write_page(result, person, f"{stem}_p{number}", person_folder)
        except (KeyError, IndexError, AttributeError, TypeError, ValueError, UnidentifiedImageError) as error:
            problem = f"The result is damaged, perhaps because it comes from a newer Uvatar: {error!r}."
        if self.blender:
            try:
                self._run_blender(stored, number, person_folder)
                files.append(BLEND)
            except BlenderError as error:
                problem = str(error)
        for name in set(os.listdir(person_folder)).difference(files):  # incomplete files of Blender's
            (person_folder / name).unlink()
        files = [*sorted(files), SUMMARY]
        summary = summarise(result, number, files, beside, made_of)
        (person_folder / SUMMARY).write_text(readable_json(summary), encoding="utf-8")
        folder = self.out / f"{stem}_p{number}"
        put_in_place(person_folder, files, folder)
        return PersonFiles(folder, summary, problem, _about_photo(result))

    def _write_glb(self, person: Mapping[str, Any], name: str, folder: Path) -> list[str]:
        if not self.glb:
            return []
        from uvatar.gltf.avatar import glb, lods  # takes half a second
        from uvatar.gltf.base_colour import base_colour

        files = {preset.file: glb(person, preset, name) for preset in self.glb}
        for preset in self.glb if self.lods else ():
            for level, data in zip(LEVELS, lods(person, preset, name), strict=True):
                files[level.file(preset)] = data
        if person.get("light_png"):
            files["texture_even.png"] = base_colour(person, even=True)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        return list(files)

    def _write_page(self, result: Mapping[str, Any], person: Mapping[str, Any], name: str, folder: Path) -> list[str]:
        if not self.page:
            return []
        from uvatar.viewer.page import avatar_page  # takes half a second

        notes = [*person.get("notes", ()), *_about_photo(result)]
        up, photo = result["camera"].get("up"), result["photo"].get("jpeg", b"")
        (folder / PAGE).write_text(avatar_page(person, name, up, photo, notes), encoding="utf-8")
        return [PAGE]

    def _run_blender(self, stored: Path, number: int, folder: Path) -> None:
        blend = (folder / BLEND).resolve()
        try:
            done = subprocess.run(
                [*(self.blender or []), str(stored), "--person", str(number), "--blend", str(blend)],
                env=_blender_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=BLENDER_SECONDS,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except subprocess.TimeoutExpired as error:  # its own message is the whole command
            raise BlenderError(f"Blender did not finish within {BLENDER_SECONDS:.0f} seconds.") from error
        except OSError as error:
            raise BlenderError(f"Blender cannot be started: {error.strerror or error}.") from error
        if done.returncode or not blend.is_file():
            raise BlenderError(
                f"Blender exited with code {done.returncode}: {done.stdout.decode(errors='replace')[-600:].strip()}"
            )


def save_romp_results(results: Mapping[str, Any], path: Path) -> None:
    """Write a result file in ROMP's format.

    ``numpy.load(path, allow_pickle=True)["results"][()]`` gives the arrays by ROMP's keys. The entry "body", which
    names the body that betas and vertices belong to, becomes a separate member that ROMP's scripts ignore.
    """
    wrapped = np.empty((), object)
    wrapped[()] = {key: np.array(value) for key, value in results.items() if key != "body"}
    np.savez_compressed(path, results=wrapped, body=np.array(results["body"]))


def summarise(
    result: Mapping[str, Any],
    number: int,
    files: Sequence[str],
    beside: Sequence[str] = (),
    made_of: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of one person's result.json: everything about the person except meshes and pictures.

    Args:
        result: the photo's result.
        number: the person's number.
        files: names of the files in the person's folder.
        beside: names of the files beside it.
        made_of: sha256 of all photos, if several make this avatar.
    """
    person = people_of(result)[number]
    photo = result["photo"]
    notes = [*person.get("notes", ()), *_about_photo(result)]
    return {
        "schema": SUMMARY_SCHEMA,
        "version": result.get("version"),
        "photo": {key: photo[key] for key in ("name", "digest", "width", "height")},
        "camera": _plain(result["camera"]),
        "person": {key: _plain(person.get(key)) for key in _PERSON_KEYS}
        | {"parts": [_summarised_part(part) for part in person.get("parts", ())]},
        "notes": notes,
        "timings": _plain(result.get("timings", {})),
        "devices": _plain(result.get("devices", {})),
        "licence": _plain(person.get("licence", {})),
        "files": list(files),
        **({"beside": list(beside)} if beside else {}),
        **({"made_of": list(made_of)} if made_of else {}),
    }


def _summarised_part(part: Mapping[str, Any]) -> dict[str, Any]:
    counts = {key: len(part[key]) for key in ("vertices", "faces")}
    return {"name": part["name"], **counts, "texture": _texture_name(part) if part.get("texture") else None}


def _texture_name(part: Mapping[str, Any]) -> str:
    """The name of the file with a part's texture; names of parts differ in more than case."""
    suffix = ".png" if bytes(part["texture"]).startswith(b"\x89PNG") else ".jpg"
    return f"part_{re.sub(r'[^a-z0-9-]', '_', part['name'][:16].lower())}{suffix}"


def _about_photo(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The notes and errors that concern the photo as a whole, in sentences."""
    return (*result.get("notes", ()), *(_sentence(error) for error in result.get("errors", ())))


def readable_json(value: Any) -> str:
    """JSON that is easy to read: indented, but with lists of plain values on one line."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    # JSON strings contain no line breaks, so those between brackets come from the indentation; strings that contain
    # brackets just keep their lines.
    return (
        re.sub(r"\[\n[^\[\]{}]*\]", lambda values: "[" + re.sub(r"\n *", " ", values[0][1:-1]).strip() + "]", text)
        + "\n"
    )


def _sentence(error: Any) -> str:
    return str(error.get("message")) if isinstance(error, Mapping) else str(error)


def _plain(value: Any) -> Any:
    """Convert to JSON's types; single-precision numbers get only the digits that they hold, not those of a double."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value] if value.ndim else _plain(value[()])
    if isinstance(value, np.float32):
        return float(str(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _blender_environment() -> dict[str, str]:
    """The environment for bpy or Blender; a Blender, whose Python may be another one, gets none of this one's paths."""
    if importlib.util.find_spec("bpy") and not os.environ.get("UVATAR_BLENDER"):
        return environment()
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def blender_command() -> list[str] | None:
    """The command that runs the extension's code without a window.

    It uses the Blender that UVATAR_BLENDER names, else the bpy package in this environment, else a Blender on the
    search path. None if the package `uvatar_blender` is not installed, or neither Blender nor bpy is found; see
    `blender_advice`.
    """
    extension = importlib.util.find_spec("uvatar_blender")
    if extension is None or extension.origin is None:
        return None
    chosen = os.environ.get("UVATAR_BLENDER")
    if not chosen and importlib.util.find_spec("bpy"):
        return module_command("uvatar_blender.headless")
    executable = chosen or shutil.which("blender")
    if not executable:
        return None
    script = Path(extension.origin).with_name("headless.py")
    return [executable, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(script), "--"]


def blender_advice() -> tuple[str, str]:
    """What is missing if `blender_command` finds nothing, and what to do; each is a sentence."""
    # Each version of bpy has wheels for one Python only; there is none for 3.12.
    bpy = {(3, 11): "bpy==4.5.*", (3, 13): "bpy==5.2.*"}.get(sys.version_info[:2])
    if importlib.util.find_spec("uvatar_blender") is None:
        fix = 'Install it: python -m pip install "uvatar[blender]".'
        if not bpy:
            fix += " Blender 4.2 or newer is also required; set UVATAR_BLENDER to its program."
        return "The package uvatar-blender is not installed.", fix
    fix = "Install Blender 4.2 or newer and set UVATAR_BLENDER to its program"
    return "No Blender was found.", fix + (f", or: python -m pip install {bpy}" if bpy else ".")

"""`python -m tests.transfer.made_person FOLDER`: a person on a body in SMPL's format, as the backend sends it, for a
Python without one.

Writes result.uvatar, and expected.npz with the posed vertices, the skinning weights and the UV coordinates of every
triangle's corners.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.atlases import atlas_of
from tests.blender_addon.sample import sample_result
from tests.transfer.smpl_like import other_body, write_files
from tests.transfer.test_transfer import fit_of
from uvatar.body import load_open_body, load_smpl
from uvatar.photos.encoding import encode_png
from uvatar.protocol import message_files
from uvatar.results.present import body_entry, person_entry
from uvatar.texturing import Texture
from uvatar.transfer import register, transfer_fit, transfer_texture

SIZE, COLOUR = 128, (10, 200, 30)


def main(folder: Path) -> None:
    ours = load_open_body()
    path = write_files(other_body(ours), folder / "models")
    smpl = load_smpl(path, path.with_name("smpl_uv.obj"))
    registration = register(ours, smpl)
    table = atlas_of(ours, SIZE).table
    green = Texture(np.full((SIZE, SIZE, 3), COLOUR, np.uint8), table.scatter(np.ones(len(table), np.uint8)))
    texture = transfer_texture(green, registration, SIZE, table)
    fit = transfer_fit(fit_of(ours, 1, dressed=True), registration).fit
    pictures = {
        "texture_png": encode_png(texture.image),
        "source_png": encode_png(texture.source),
        "overlay_jpeg": b"",
    }
    person = person_entry("p0", fit, smpl, np.array([0, 0, 300, 400]), pictures, {"carried_over_mean": 0.002})
    message_files.dump(
        {**sample_result(), "schema": 2, "body": body_entry(smpl), "people": [person]}, folder / "result.uvatar"
    )
    vertices, _ = smpl.posed(fit.body, fit.offsets)
    np.savez(folder / "expected.npz", vertices=vertices, weights=smpl.data.weights, uv=smpl.data.uv[smpl.data.face_uv])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

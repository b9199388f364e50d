"""Photo pixels on the body: projection, mirroring, completion."""

from uvatar.data.texture import Texture
from uvatar.data.view import View
from uvatar.texturing.face import FaceSpline, face_offsets
from uvatar.texturing.layout.atlas import Atlas, Atlases, TexturingError
from uvatar.texturing.person import texture_person
from uvatar.texturing.predicted import Predict

__all__ = [
    "Atlas",
    "Atlases",
    "FaceSpline",
    "Predict",
    "Texture",
    "TexturingError",
    "View",
    "face_offsets",
    "texture_person",
]

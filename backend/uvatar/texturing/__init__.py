"""Photo pixels on the body: projection, mirroring, completion."""

from uvatar.texturing.atlas import TexturingError
from uvatar.texturing.face import face_offsets
from uvatar.texturing.person import texture_person
from uvatar.texturing.predicted import Predict
from uvatar.texturing.texture import Texture
from uvatar.texturing.view import View

__all__ = ["Predict", "Texture", "TexturingError", "View", "face_offsets", "texture_person"]

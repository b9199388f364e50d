"""Photo pixels on the body: projection, mirroring, completion."""

from backend.texturing.atlas import TexturingError
from backend.texturing.face import face_offsets
from backend.texturing.person import texture_person
from backend.texturing.predicted import Predict
from backend.texturing.texture import Texture
from backend.texturing.view import View

__all__ = ["Predict", "Texture", "TexturingError", "View", "face_offsets", "texture_person"]

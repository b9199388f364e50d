"""The differentiable renderer: mesh, cameras and texture in; image, mask, UV and face maps out.

Which triangle each pixel sees is found without gradients, by our scan conversion on the CPU and by PyTorch3D on a GPU.
Everything after that (where in the triangle, which texel, which colour) is one piece of torch code with gradients to
vertices, cameras and texture.  Where the geometry stands still, `see` is called once and `paint` every step.
"""

from uvatar_training.rendering.cameras import Cameras
from uvatar_training.rendering.mesh import RenderError, UvMesh
from uvatar_training.rendering.painting import Rendering, paint, render, sample_texture
from uvatar_training.rendering.view import PixelView, Rasterizer, see, visible_faces

__all__ = [
    "Cameras",
    "PixelView",
    "Rasterizer",
    "RenderError",
    "Rendering",
    "UvMesh",
    "paint",
    "render",
    "sample_texture",
    "see",
    "visible_faces",
]

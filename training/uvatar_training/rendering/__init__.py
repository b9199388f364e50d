"""The differentiable renderer: from mesh, cameras and texture to image, mask, UV and face maps.

The triangle visible at each pixel is found without gradients, by scan conversion on the CPU and by PyTorch3D on a GPU.
Everything else (position in the triangle, texel, colour) is PyTorch code with gradients to vertices, cameras and
texture. If the geometry is fixed, call `see` once and `paint` in every step.
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

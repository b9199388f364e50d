"""Pictures of the result for people to look at: the mesh over the photo, the textured body, a sheet of views
around it.
"""

from uvatar.results.preview.drawing import Picture, overlay, render_textured
from uvatar.results.preview.labels import label_colours
from uvatar.results.preview.studio import turntable

__all__ = ["Picture", "label_colours", "overlay", "render_textured", "turntable"]

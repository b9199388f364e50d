"""The texture's layout on the body: texels, and what of the surface no photo changes."""

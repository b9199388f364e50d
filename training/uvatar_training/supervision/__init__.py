"""What samples tell the losses: targets of the mesh predictor, and the supervision of meshes and textures."""

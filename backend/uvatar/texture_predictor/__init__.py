"""The Texture Predictor: a photo's style and the body's 3D structure in, a full UV texture out."""

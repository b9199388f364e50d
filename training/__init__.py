"""Training of the Mesh Predictor and the Texture Predictor: data, losses, trainers. Uses `backend`; nothing there uses this."""

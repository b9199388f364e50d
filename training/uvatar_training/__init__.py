"""Training of the Mesh Predictor and the Texture Predictor: data, losses, trainers.

Uses `uvatar`; nothing there uses this.
"""

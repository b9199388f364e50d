"""Training of the Mesh Predictor, the Texture Predictor and the pose lifter: data, losses, trainers.

Uses `uvatar`; nothing there uses this.
"""

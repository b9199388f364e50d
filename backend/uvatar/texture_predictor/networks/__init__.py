"""The Texture Predictor's network in PyTorch: for training, for export to ONNX, and for a user's own checkpoints.

Nothing else of this room imports PyTorch.
"""

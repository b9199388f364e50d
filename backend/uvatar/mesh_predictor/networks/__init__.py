"""The Mesh Predictor's networks in PyTorch: for training, for export to ONNX, and for a user's own checkpoints.

Nothing else of this room imports PyTorch.
"""

"""Scores of textures, in the paper's protocol and in one that excludes the white background, beside baselines."""

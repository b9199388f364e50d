"""Adversarial training of the Texture Predictor's synthesis: discriminator, regularisation, augmentation, weight
averaging.
"""

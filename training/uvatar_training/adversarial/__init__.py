"""Adversarial training of the Texture Predictor: discriminator, regularisation, augmentation, weight averaging."""

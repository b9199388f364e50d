"""The Texture Predictor, the renderer and the loss together: four photos are learnt by heart, without any texture to
copy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.evaluation.metrics import psnr
from uvatar.evaluation.poses import load_poses
from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.structure import Structure
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance
from uvatar_training.losses.texture import TextureLoss, TextureWeights
from uvatar_training.metrics.baselines import flat_colour
from uvatar_training.metrics.subjects import Subject, joined, network_inputs, random_subject
from uvatar_training.rendering import PixelView, paint
from uvatar_training.supervision.texture import PhotoEvidence, Surroundings, texture_terms

# Poses and outfits whose patterns 128 texels can hold: their true textures at that size score 34 to 37 dB.
PEOPLE = (3, 5, 6, 12)
SIDE, BATCH, STEPS, LEARNING_RATE = 160, 2, 700, 0.004


def some(structure: Structure[Tensor], people: Tensor) -> Structure[Tensor]:
    """The structure of some of the people; what all share stays."""
    parts = {
        name: value if value is None or len(value) == 1 else value[people] for name, value in vars(structure).items()
    }
    return Structure(**parts)


def scores(view: PixelView, texture: Tensor, photo: Tensor) -> list[float]:
    """Foreground PSNR of every person's picture, decibels."""
    pictures = paint(view, texture.clamp(0, 1))
    arrays = [(255 * picture.permute(0, 2, 3, 1)).double().numpy() for picture in (pictures, photo)]
    return [psnr(a, b, mask) for a, b, mask in zip(*arrays, view.mask[:, 0].numpy(), strict=True)]


def learnt(subjects: list[Subject], body: BodyModel) -> tuple[Tensor, PixelView, Tensor]:
    """Textures (4, 3, 128, 128) after training on the subjects' photos alone; their views and photos."""
    torch.manual_seed(0)
    network = TextureNetwork(replace(small(), photo_side=64)).eval()  # four photos are no statistics for a batch norm
    surroundings = Surroundings.of(body, network.config.resolution, FeatureDistance(EfficientNetFeatures()))
    crops, structure = network_inputs(subjects, body, surroundings.plane, network.config.photo_side)
    view, photo = joined([subject.view for subject in subjects]), torch.cat([subject.photo for subject in subjects])
    loss = TextureLoss(
        TextureWeights(perceptual=0, face=0, adversarial=0)
    )  # feature networks take longer than all the rest
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE, (0.9, 0.99), fused=True)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 10, (STEPS - step) / (0.35 * STEPS))
        people = (step * BATCH + torch.arange(BATCH)) % len(subjects)
        given = some(structure, people)
        assert given.partial is not None
        prediction = network(crops[people], given)
        evidence = PhotoEvidence(photo[people], view.mask[people], given.partial, given.partial[:, 3:])
        terms = texture_terms(
            prediction.texture, view[people], evidence, surroundings, prediction.style, weights=loss.weights
        )
        optimiser.zero_grad()
        loss(terms)[0].backward()
        optimiser.step()
    with torch.no_grad():
        return network(crops, structure).texture, view, photo


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_four_people_are_learnt_from_one_photo_each(body: BodyModel) -> None:
    """28 dB on each of the four photos at 128x128 texels. Two to three minutes on one quiet core."""
    poses = load_poses(None)
    subjects = [random_subject(body, poses[i], SIDE, 512, np.random.default_rng(i)) for i in PEOPLE]
    texture, view, photo = learnt(subjects, body)
    flat = torch.cat([flat_colour(subject.photo, subject.mask, 128) for subject in subjects])
    one_colour, learnt_by_heart = scores(view, flat, photo), scores(view, texture, photo)
    print("one colour", one_colour, "learnt", learnt_by_heart)
    assert max(one_colour) < 20
    assert min(learnt_by_heart) >= 28

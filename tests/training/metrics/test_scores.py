"""Scores against independent formulas, and what they must not be flattered by."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from uvatar.body import BodyModel
from uvatar.evaluation.metrics import masked_ssim
from uvatar.evaluation.poses import load_poses
from uvatar.evaluation.tables import markdown
from uvatar.texture_predictor.config import small
from uvatar.texture_predictor.networks.network import TextureNetwork
from uvatar.texture_predictor.structure import MATERIALS
from uvatar_training.losses.features import EfficientNetFeatures, FeatureDistance, FeatureError
from uvatar_training.metrics.baselines import projected, projected_and_mirrored
from uvatar_training.metrics.frechet import FID, FrechetDistance
from uvatar_training.metrics.pictures import score_picture
from uvatar_training.metrics.subjects import Subject, network_inputs, random_subject
from uvatar_training.metrics.table import Judge, baseline_textures
from uvatar_training.metrics.texels import score_texels, surface_per_texel
from uvatar_training.networks.uv_plane import uv_plane
from uvatar_training.rendering import paint
from uvatar_training.rendering.unprojection import Texels

RNG = np.random.default_rng(0)


def picture(*shape: int) -> Tensor:
    return torch.from_numpy(RNG.random(shape)).float()


def decibels(mean_square: Tensor | float) -> float:
    return -10 * math.log10(float(mean_square))


@pytest.fixture(scope="module")
def disc() -> Tensor:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    return (x - 32) ** 2 + (y - 32) ** 2 < 15**2


@pytest.fixture(scope="module")
def subjects(body: BodyModel) -> list[Subject]:
    poses = load_poses(None)
    return [random_subject(body, poses[i], 128, 256, np.random.default_rng(i)) for i in (0, 1, 2)]


def test_both_protocols_are_their_formulas(disc: Tensor) -> None:
    image, photo = picture(3, 64, 64), picture(3, 64, 64)
    face = torch.zeros_like(disc)
    face[20:30, 25:40] = True
    scores = score_picture(image, photo, disc, face & disc)
    square = (image - photo).double().square()
    assert scores.foreground == pytest.approx(disc.float().mean().item())
    assert scores.psnr == pytest.approx(decibels(square[:, disc].mean()), abs=1e-4)
    assert scores.paper_psnr == pytest.approx(decibels((square * disc).mean()), abs=1e-4)
    assert scores.paper_psnr - scores.psnr == pytest.approx(decibels(scores.foreground), abs=1e-4)
    assert scores.face_psnr == pytest.approx(decibels(square[:, face & disc].mean()), abs=1e-4)
    a, b = (255 * p.permute(1, 2, 0).double().numpy() for p in (image, photo))
    assert scores.ssim == pytest.approx(masked_ssim(a, b, disc.numpy()))
    assert np.isnan(scores.perceptual) and np.isnan(scores.paper_perceptual)


def test_one_flat_colour_shines_on_white_and_not_on_the_person(disc: Tensor) -> None:
    photo = torch.nn.functional.interpolate(picture(1, 3, 16, 16), (64, 64), mode="bicubic")[0].clamp(0, 1)
    flat = photo[:, disc].mean(1)[:, None, None].expand_as(photo)
    scores = score_picture(flat, photo, disc, disc)
    assert scores.paper_ssim > 0.8 and scores.ssim < 0.4


def test_what_surrounds_the_person_changes_nothing(disc: Tensor) -> None:
    image, photo = picture(3, 64, 64), picture(3, 64, 64)
    distance = lambda a, b: (a - b).abs().mean((1, 2, 3))  # noqa: E731
    scores = score_picture(image, photo, disc, disc, distance)
    other = torch.where(disc, image, 0.0), torch.where(disc, photo, 0.3)
    assert score_picture(*other, disc, disc, distance) == scores
    assert scores.perceptual > 2 * scores.paper_perceptual  # the person's box against the whole frame


def test_unusable_pictures_are_refused(disc: Tensor) -> None:
    good = picture(3, 64, 64)
    broken = good.clone()
    broken[0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        score_picture(broken, good, disc, disc)
    with pytest.raises(ValueError, match="mask is empty"):
        score_picture(good, good, torch.zeros_like(disc), disc)
    with pytest.raises(ValueError, match="one size"):
        score_picture(good[:, :32], good, disc, disc)


def test_texels_count_by_the_surface_they_cover(body: BodyModel) -> None:
    texels = Texels.of(body, 128)
    surface = surface_per_texel(body, texels)[0, 0]
    a, b, c = (body.data.v_template[body.data.faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert float(surface.sum()) == pytest.approx(area, rel=0.03)

    truth, texture = picture(3, 128, 128), picture(3, 128, 128)
    seen, head, face = ((picture(128, 128) > level).float() for level in (0.5, 0.8, 0.9))
    scores = score_texels(texture, truth, seen, head, face, surface)
    error = (texture - truth).double().square().mean(0)
    parts = (scores.seen, scores.unseen, scores.unseen_head, scores.unseen_body, scores.face)
    weights = (seen, 1 - seen, (1 - seen) * head, (1 - seen) * (1 - head), face)
    for got, weight in zip(parts, weights, strict=True):
        w = (surface * weight).double()
        assert got == pytest.approx(decibels((error * w).sum() / w.sum()), abs=1e-3)
    assert np.isnan(score_texels(texture, truth, torch.ones_like(seen), head, face, surface).unseen)
    with pytest.raises(ValueError, match="not finite"):
        score_texels(texture * torch.nan, truth, seen, head, face, surface)


def test_the_frechet_distance_is_its_formula_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))  # no Inception weights there
    sets = picture(12, 3, 48, 48), picture(9, 3, 48, 48) * 0.6
    score = FrechetDistance()(*(batch.split(5) for batch in sets))
    assert score.name == "Frechet distance (EfficientNet-Lite0)" != FID and score.pictures == 9
    network = EfficientNetFeatures()
    with torch.no_grad():
        a, b = (network.pooled(batch).double().numpy() for batch in sets)
    covariance = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(
        covariance[0] + covariance[1] - 2 * np.real(sqrtm(covariance[0] @ covariance[1]))
    )
    assert score.value == pytest.approx(expected, rel=1e-3)
    assert FrechetDistance()([sets[0]], [sets[0]]).value == pytest.approx(0, abs=1e-2)
    with pytest.raises(ValueError, match="two pictures"):
        FrechetDistance()([sets[0][:1]], [sets[1]])
    with pytest.raises(FeatureError, match="no Inception weights"):
        FrechetDistance(inception=tmp_path / "weights.pth")


def test_fillings_keep_what_was_seen_and_invent_smoothly(body: BodyModel) -> None:
    partial = picture(1, 4, 64, 64)
    partial[:, 3] = (picture(1, 64, 64) > 0.6).float()
    partial[:, :3][partial[:, 3:].expand(-1, 3, -1, -1) == 0] = 7.0  # what lies under alpha 0 may be anything
    plane = uv_plane(body, 64)
    for filled in (projected(partial, plane), projected_and_mirrored(partial, plane)):
        seen = partial[0, 3] > 0
        torch.testing.assert_close(filled[0][:, seen], partial[0, :3][:, seen])
        assert filled.min() >= 0 and filled.max() <= 1


def test_the_table_ranks_what_costs_nothing_as_it_should(subjects: list[Subject], body: BodyModel) -> None:
    textures = baseline_textures(subjects, body, 128)
    network = TextureNetwork(replace(small(), materials=len(MATERIALS))).eval()
    with torch.no_grad():
        photo, structure = network_inputs(subjects, body, uv_plane(body, 128), 128, len(MATERIALS))
        textures["untrained"] = list(network(photo, structure).texture.clamp(0, 1).split(1))
    judge = Judge(body, 128, FeatureDistance(EfficientNetFeatures()), "features", FrechetDistance())
    rows = {str(row["texture"]): row for row in judge.rows(subjects, textures)}
    names = {
        "white",
        "flat colour",
        "mean texture",
        "another person's",
        "projection",
        "projection, mirrored",
        "untrained",
    }
    assert set(rows) == names | {"the product without weights", "oracle 64", "oracle 128", "oracle 256"}

    def column(name: str) -> dict[str, float]:
        return {texture: float(row[name]) for texture, row in rows.items()}

    psnr, paper, unseen = column("PSNR"), column("paper SSIM"), column("unseen texels")
    assert psnr["white"] < psnr["flat colour"] < psnr["oracle 64"] < psnr["oracle 128"]
    assert psnr["projection"] > psnr["flat colour"] + 8  # a photo put on its own body is hard to beat in its own view,
    assert unseen["projection"] < 20 < unseen["oracle 64"] < unseen["oracle 128"]  # and knows nothing of the rest
    assert column("PSNR behind")["projection"] < psnr["projection"] - 6
    assert paper["flat colour"] > 0.9 and column("SSIM")["flat colour"] < 0.5
    assert psnr["untrained"] < psnr["oracle 64"]
    assert column("features")["oracle 128"] < column("features")["oracle 64"] < column("features")["flat colour"]
    assert "LPIPS" not in rows["white"]  # only LPIPS is called so
    frechet = column("Frechet distance (EfficientNet-Lite0), 3 pictures")
    assert frechet["oracle 128"] < frechet["flat colour"]
    assert "| oracle 128 |" in markdown(list(rows.values()))
    with pytest.raises(ValueError, match="2 textures for 3 people"):
        Judge(body, 128).rows(subjects, {"too few": textures["white"][:2]})


def test_the_photo_is_what_its_own_texture_looks_like(subjects: list[Subject]) -> None:
    for subject in subjects:
        painted = paint(subject.view, subject.texture)
        inside = subject.mask.expand_as(painted)
        assert (painted - subject.photo).abs()[inside].median() < 0.03
        assert (subject.photo[~inside] == 1).all()
        assert 0.05 < subject.mask.float().mean() < 0.5

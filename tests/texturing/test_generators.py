"""Texture generators: what they are given, where their pictures go, and what happens if they fail."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.texturing.conftest import Studio, plain
from uvatar.commands.doctor_checks import _texture_generators
from uvatar.data.labels import Label
from uvatar.data.texture import Texture
from uvatar.engine import generators as of_engine
from uvatar.engine.generators import painted_texture
from uvatar.geometry.mesh import vertex_normals
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.options import Options, checked_options
from uvatar.texturing import View, texture_person
from uvatar.texturing.generators import plugins as generators
from uvatar.texturing.generators.diffusers import VARIABLE, DiffusersGenerator
from uvatar.texturing.generators.painting import Painter
from uvatar.texturing.generators.plugins import GROUP, GeneratorError, UnseenView, generator_names, load_generator
from uvatar.texturing.layout.atlas import Atlas

SIZE = 256
PAINT = (40, 170, 60)


class Green:
    """Paints everything green and keeps what it was given."""

    sides: Sequence[str] = ("back",)

    def __init__(self) -> None:
        self.given: list[UnseenView] = []

    def paint(self, view: UnseenView) -> NDArray[np.uint8]:
        self.given.append(view)
        return np.full_like(view.render, PAINT)


class Small(Green):
    def paint(self, view: UnseenView) -> NDArray[np.uint8]:
        return view.render[:10]


class Broken(Green):
    def paint(self, view: UnseenView) -> NDArray[np.uint8]:
        raise MemoryError("The picture is too large.\nMore words.")


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    return Atlas.of(studio.body, SIZE)


@pytest.fixture(scope="module")
def view(studio: Studio) -> View:
    return studio.photograph(plain, side=400)


@pytest.fixture(scope="module")
def completed(view: View, atlas: Atlas) -> Texture:
    return texture_person([view], atlas)


@pytest.fixture
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with generators were installed."""
    classes = {"green": "Green", "small": "Small", "broken": "Broken", "gone": "Missing", "number": "SIZE"}
    points = [EntryPoint(name, f"{__name__}:{value}", GROUP) for name, value in classes.items()]
    monkeypatch.setattr(generators, "entry_points", lambda group: [one for one in points if one.group == group])
    of_engine._loaded.cache_clear()


def texels(picture: NDArray[Any], atlas: Atlas) -> NDArray[np.float64]:
    return picture.reshape(-1, *picture.shape[2:])[atlas.table.pixel].astype(float)


def test_the_back_is_painted_and_what_the_photo_shows_stays(view: View, atlas: Atlas, completed: Texture) -> None:
    texture = texture_person([view], atlas, painter=Painter("green", Green()))
    before, after = texels(completed.image, atlas), texels(texture.image, atlas)
    seen = texels(completed.source, atlas) == Label.SEEN
    sure = seen & (np.abs(after - before).max(-1) < 3)
    assert sure[seen].mean() > 0.97
    normals = atlas.interpolate(_normals(atlas))
    behind = (normals[:, 2] < -0.7) & (atlas.of_first_vertex(atlas.surface.eye) == 0)
    painted = np.abs(after - PAINT).max(-1) < 25
    assert painted[behind].mean() > 0.75 and painted[normals[:, 2] > 0.3].mean() < 0.01
    assert (texels(texture.source, atlas)[painted & ~seen] == Label.PREDICTED).mean() > 0.95


def _normals(atlas: Atlas) -> NDArray[np.float32]:
    return vertex_normals(atlas.surface.template, atlas.surface.faces).astype(np.float32)


def test_what_a_generator_is_given(view: View, atlas: Atlas, completed: Texture) -> None:
    green = Green()
    texture_person([view], atlas, painter=Painter("green", green, seed=7))
    (given,) = green.given
    assert given.side == "back" and given.seed == 7
    height, width = given.mask.shape
    assert height == 1024 and width % 64 == 0 and 0.1 < given.mask.mean() < 0.5
    assert not given.mask[[0, -1]].any() and not given.mask[:, [0, -1]].any()
    assert given.photo.shape[:2] == given.photo_mask.shape and given.photo_mask.max() == 255
    assert np.isfinite(given.depth[given.mask]).all() and np.isinf(given.depth[~given.mask]).all()
    assert np.linalg.norm(given.normals[given.mask], axis=1) == pytest.approx(1, abs=1e-3)
    assert (given.normals[given.mask][:, 2] < 0.3).mean() > 0.98  # they face the camera
    # From behind nothing is seen but the rim; the person stands upright, with the head above.
    assert given.unseen[given.mask].mean() > 0.85 and given.unseen[~given.mask].max() == 0
    assert given.mask[: height // 8].sum() < given.mask[height // 4 : height // 2].sum()
    assert (given.render[~given.mask] == 128).all() and given.render[given.mask].std() > 2


def test_sides_are_the_persons_and_only_unseen_ones_are_painted(studio: Studio, atlas: Atlas) -> None:
    """A photo of the left side leaves the right one, and one from behind nothing of the back."""

    class All(Green):
        sides = ("back", "left", "right")

    unseen = {}
    for turn in (-90.0, 180.0):
        generator = All()
        painter = Painter("green", generator)
        texture_person([studio.photograph(plain, turn=turn, side=400)], atlas, painter=painter)
        assert painter.painted == [view.side for view in generator.given]
        unseen[turn] = {view.side: float(view.unseen[view.mask].mean()) for view in generator.given}
    assert unseen[-90]["right"] > 0.9 and unseen[-90].get("left", 0.0) < 0.2
    assert unseen[180]["left"] == pytest.approx(unseen[180]["right"], abs=0.05) and "back" not in unseen[180]


def test_a_note_says_when_nothing_was_left_to_paint(studio: Studio, atlas: Atlas, plug_ins: None) -> None:
    view = studio.photograph(plain, turn=180, side=400)
    _, (note,) = painted_texture(
        lambda painter: texture_person([view], atlas, painter=painter), Options(texture_generator="green")
    )
    assert "painted nothing" in note


def test_a_generator_is_loaded_once_for_people_side_by_side(plug_ins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> Green:
        loaded.append(name)
        time.sleep(0.2)  # as networks do
        return Green()

    monkeypatch.setattr(of_engine, "load_generator", load)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: painted_texture(lambda painter: painter, Options(texture_generator="slow")), range(3)))
    assert loaded == ["slow"]
    of_engine._loaded.cache_clear()


def test_colours_follow_the_photos(view: View, atlas: Atlas) -> None:
    """A generator that makes everything darker, the parts that the photo shows too, is corrected by them."""

    class Darker(Green):
        sides = ("left",)

        def paint(self, view: UnseenView) -> NDArray[np.uint8]:
            return (view.render * 0.8).astype(np.uint8)

    before, after = (
        texels(texture_person([view], atlas, painter=painter).image, atlas)
        for painter in (None, Painter("darker", Darker()))
    )
    assert np.median(after[:, 2] / np.maximum(before[:, 2], 1)) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("name", "words"), [("small", "of shape"), ("broken", "MemoryError: The picture is too large")]
)
def test_a_generator_that_fails_leaves_the_completion_and_a_note(
    view: View, atlas: Atlas, completed: Texture, plug_ins: None, name: str, words: str
) -> None:
    def make(painter: Painter | None) -> Texture:
        return texture_person([view], atlas, painter=painter)

    texture, (note,) = painted_texture(make, Options(texture_generator=name))
    assert words in note and "More words" not in note and note.endswith("were completed without it.")
    assert (texture.image == completed.image).all()


def test_a_job_names_its_generator(plug_ins: None) -> None:
    given: list[Any] = []

    def make(painter: Painter | None) -> Any:
        given.append(painter)
        if painter is not None:
            painter.painted.append("back")

    _, (note,) = painted_texture(make, Options(texture_generator="green", texture_seed=3))
    assert isinstance(given[0].generator, Green) and given[0].seed == 3 and "generator green" in note
    for options in (Options(), Options(texture_generator="green", fast=True)):
        assert painted_texture(make, options)[1] == () and given[-1] is None


def test_names_are_checked(plug_ins: None) -> None:
    assert {"completion", "diffusers", "green", "small"} <= set(generator_names())
    assert isinstance(load_generator("green"), Green) and load_generator("completion") is None
    for name, words in (("nobody", "Installed are: completion"), ("gone", "imported"), ("number", "cannot be loaded")):
        with pytest.raises(GeneratorError, match=words):
            load_generator(name)
    assert checked_options({"texture_generator": "green"})["texture_generator"] == "green"
    for bad in ("", "../green", "a" * 65, 3):
        with pytest.raises(UvatarError, match="must be a name"):
            checked_options({"texture_generator": bad})


def test_doctor_lists_them(plug_ins: None) -> None:
    found = {finding.words.split(":")[0]: finding.state for finding in _texture_generators()}
    assert found["green"] == "ok" and found["diffusers"] == "ok"
    assert any("gone" in words and state == "warning" for words, state in found.items())


def unseen_view() -> UnseenView:
    random = np.random.default_rng(0)
    render = random.integers(0, 256, (256, 128, 3), np.uint8)
    unseen = np.zeros((256, 128), np.float32)
    unseen[64:192, 32:96] = 1
    mask, depth = unseen > 0, np.full((256, 128), np.inf, np.float32)
    photo = np.zeros((50, 40, 3), np.uint8)
    return UnseenView("back", photo, photo[..., 0], render, depth, np.zeros_like(render, np.float32), mask, unseen, 5)


def folder_of_a_pipeline(path: Path) -> Path:
    (path / "model_index.json").write_text("{}")
    return path


def test_diffusers_is_called_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the documented interface: nothing may be downloaded, and no pickle be read."""
    calls: dict[str, Any] = {}

    class Pipeline:
        unet = SimpleNamespace(config=SimpleNamespace(sample_size=16))
        vae_scale_factor = 8

        @classmethod
        def from_pretrained(cls, folder: str, **options: Any) -> Pipeline:
            calls["from_pretrained"] = folder, options
            return cls()

        def to(self, device: str) -> Pipeline:
            return self

        def set_progress_bar_config(self, disable: bool) -> None:
            calls["quiet"] = disable

        def __call__(self, **given: Any) -> SimpleNamespace:
            calls["paint"] = given
            return SimpleNamespace(images=[Image.new("RGB", (given["width"], given["height"]), PAINT)])

    fake = ModuleType("diffusers")
    fake.AutoPipelineForInpainting = Pipeline  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "diffusers", fake)
    monkeypatch.setenv(VARIABLE, str(folder_of_a_pipeline(tmp_path)))
    made = DiffusersGenerator(num_inference_steps=2).paint(unseen_view())
    assert made.shape == (256, 128, 3) and made.dtype == np.uint8 and (made == PAINT).all()
    assert calls["from_pretrained"] == (str(tmp_path), {"local_files_only": True, "use_safetensors": True})
    given = calls["paint"]
    assert (given["width"], given["height"]) == (64, 128) and given["num_inference_steps"] == 2
    assert given["image"].size == given["mask_image"].size == (64, 128) and given["generator"].initial_seed() == 5
    mask = np.asarray(given["mask_image"])
    assert mask[64, 32] == 255 and mask[4, 4] == 0 and "behind" in given["prompt"]


def test_diffusers_without_a_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(GeneratorError, match=f"Set {VARIABLE}"):
        DiffusersGenerator()
    with pytest.raises(GeneratorError, match="does not"):
        DiffusersGenerator(tmp_path)


@pytest.mark.slow  # half a minute to import the two libraries
def test_a_tiny_random_pipeline(tmp_path: Path) -> None:
    """The real diffusers, where it is installed, with networks that were never trained."""
    diffusers, transformers = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    tiny_pipeline(diffusers, transformers).save_pretrained(tmp_path, safe_serialization=True)
    generator = DiffusersGenerator(tmp_path, side=64, num_inference_steps=1, guidance_scale=1.0)
    view = unseen_view()
    made = generator.paint(view)
    assert made.shape == view.render.shape and made.dtype == np.uint8 and made.std() > 1
    assert (generator.paint(view) == made).all()  # the seed decides


def tiny_pipeline(diffusers: Any, transformers: Any) -> Any:
    """An inpainting pipeline of Stable Diffusion's kind with random weights, some 100 kB."""
    torch.manual_seed(0)
    make: Callable[..., Any] = diffusers.UNet2DConditionModel
    unet = make(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=9, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8, attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=[8, 16], in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    )  # fmt: skip
    letters = {f"{letter}{end}" for letter in "abcdefghijklmnopqrstuvwxyz,." for end in ("", "</w>")}
    words = ["<|startoftext|>", "<|endoftext|>", *sorted(letters)]
    config = transformers.CLIPTextConfig(
        hidden_size=8, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1, vocab_size=len(words),
        max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    folder = Path(tempfile.mkdtemp())
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.model_max_length = 77
    return diffusers.StableDiffusionInpaintPipeline(
        vae=vae, text_encoder=transformers.CLIPTextModel(config), tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(steps_offset=1), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip

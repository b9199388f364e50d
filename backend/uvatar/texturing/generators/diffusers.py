"""A texture generator that runs an inpainting pipeline of Hugging Face's diffusers from a folder on this computer.

`VARIABLE` names the folder. Nothing is downloaded, and only weights in safetensors files are read. Which pipeline it
is, and under which licence its pictures may be used, is the user's choice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvatar.texturing.generators.plugins import GeneratorError, UnseenView

VARIABLE = "UVATAR_DIFFUSERS"  # the folder of the pipeline
_PROMPTS = {
    "back": "photo of the same person in the same clothes seen from behind, back of the head, plain grey background",
    "left": "photo of the same person in the same clothes seen from the left side, plain grey background",
    "right": "photo of the same person in the same clothes seen from the right side, plain grey background",
}
_MULTIPLE = 8  # pixels: sides of the pictures that pipelines work on
_PHOTOS_SHARE = 0.5  # of `UnseenView.unseen` from which a pixel is painted


class DiffusersGenerator:
    """Paints the back.

    Args:
        folder: of a pipeline as `save_pretrained` writes it; None for the one that `VARIABLE` names.
        side: pixels of the longer side of the picture that the pipeline works on; None for the size that its network
            was made for.
        options: further arguments of the pipeline, such as ``num_inference_steps``, ``guidance_scale`` or ``prompt``.

    Raises GeneratorError: diffusers is not installed, no folder is named, or it holds no inpainting pipeline.
    """

    sides: Sequence[str] = ("back",)

    def __init__(self, folder: Path | None = None, side: int | None = None, **options: Any) -> None:
        named = os.environ.get(VARIABLE)
        path = folder or (Path(named) if named else None)
        if path is None or not (path / "model_index.json").is_file():
            raise GeneratorError(
                f"Set {VARIABLE} to the folder of an inpainting pipeline, which holds model_index.json"
                + (f"; {path} does not." if path else ".")
            )
        try:
            import torch
            from diffusers import AutoPipelineForInpainting
        except ImportError as error:
            raise GeneratorError(
                f'diffusers cannot be imported ({error}). Install it: python -m pip install "uvatar[diffusers]".'
            ) from error
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pipeline = AutoPipelineForInpainting.from_pretrained(
            str(path), local_files_only=True, use_safetensors=True
        ).to(self._device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._side = side
        self._options = options

    def paint(self, view: UnseenView) -> NDArray[np.uint8]:
        """See `uvatar.texturing.generators.plugins.TextureGenerator`."""
        height, width = view.render.shape[:2]
        small = self._size(width, height)
        mask = Image.fromarray((view.unseen > _PHOTOS_SHARE).astype(np.uint8) * np.uint8(255))
        made = self._pipeline(
            **{
                "prompt": _PROMPTS[view.side],
                "image": Image.fromarray(view.render).resize(small, Image.Resampling.LANCZOS),
                "mask_image": mask.resize(small, Image.Resampling.NEAREST),
                "width": small[0],
                "height": small[1],
                "generator": self._torch.Generator(self._device).manual_seed(view.seed),
                **self._options,
            }
        ).images[0]
        return np.asarray(made.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), np.uint8)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that the pipeline works on."""
        side = self._side
        if side is None:
            network = getattr(self._pipeline, "unet", None) or self._pipeline.transformer
            side = int(network.config.sample_size) * int(self._pipeline.vae_scale_factor)
        step = side / max(width, height)
        small = (max(_MULTIPLE, round(length * step / _MULTIPLE) * _MULTIPLE) for length in (width, height))
        return next(small), next(small)

"""Make the pictures in the README from the results of `make demo`: photo, mesh on the photo, eight views of the avatar.

You need it after a change that is meant to change avatars.

    make demo
    python tools/readme_pictures.py out/demo docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HEIGHT = 560
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def strip(folder: Path) -> Image.Image:
    """One picture of a person's folder ``<photo>_p<number>``."""
    photo = SAMPLES / f"{folder.name.rsplit('_p', 1)[0]}.jpg"
    pictures = [
        ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for path in (photo, folder / "overlay.jpg", folder / "turntable.png")
    ]
    scaled = [
        picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT), Image.Resampling.LANCZOS)
        for picture in pictures
    ]
    return Image.fromarray(np.concatenate([np.asarray(picture) for picture in scaled], 1))


def main() -> None:
    """Write the pictures into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the avatars")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path for path in arguments.results.iterdir() if path.is_dir()):
        strip(folder).save(arguments.out / f"{folder.name.rsplit('_p', 1)[0]}.jpg", quality=88)


if __name__ == "__main__":
    main()

"""Record the values that `uvatar doctor --self-test` expects. `make self-test-values` calls it.

You need it after a change that is meant to change avatars. Run it with the tested versions of all packages, in the
environment that `make` sets up.

    python tools/record_self_test.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from uvatar.engine.engine import Engine
from uvatar.engine.self_test import KNOWN, PHOTO, deviation, observe, read_known, write_known

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "man.jpg"
HEIGHT = 320  # pixels: the smallest that is still fitted as the sample itself is


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", action="store_true", help="also make the small picture again, from samples/man.jpg")
    if parser.parse_args().photo or not PHOTO.exists():
        with Image.open(SAMPLE) as sample:
            small = sample.convert("RGB").resize(
                (round(sample.width * HEIGHT / sample.height), HEIGHT), Image.Resampling.LANCZOS
            )
        small.save(PHOTO, "JPEG", quality=80)
    observed = observe(Engine.load())
    if KNOWN.exists():
        print(f"Before, it was {deviation(observed, read_known())}")
    write_known(observed)
    print(f"{KNOWN.name} {KNOWN.stat().st_size} bytes, {PHOTO.name} {PHOTO.stat().st_size} bytes")


if __name__ == "__main__":
    main()

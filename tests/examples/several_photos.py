"""One avatar of a person whom several photos show: python several_photos.py FOLDER PHOTO PHOTO..."""

import sys

import uvatar


def show(stage: str, fraction: float, message: str) -> None:
    """Print how far it is."""
    print(f"{fraction:4.0%} {message}")


def tell(photo: str, error: uvatar.UvatarError) -> None:
    """Print why a photo could not be used."""
    print(f"{photo}: {error.message} {error.fix}")


folder, *photos = sys.argv[1:]
options = uvatar.Options(same_person=True, fast=True, texture_size=512)
for avatar in uvatar.Engine.load().reconstruct(photos, options, progress=show, failed=tell):
    for note in avatar.notes:
        print(note)
    avatar.save(folder, blender=False)

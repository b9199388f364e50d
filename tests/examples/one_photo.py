"""Avatars of everybody in a photo: python one_photo.py PHOTO FOLDER"""

import sys

import uvatar

photo, folder = sys.argv[1:]

engine = uvatar.Engine.load()
for avatar in engine.reconstruct(photo, uvatar.Options(fast=True, texture_size=512)):
    print(f"{avatar.photo_name}, person {avatar.number}: {avatar.confidence:.0%} sure")
    print(f"  {avatar.measurements['stature']:.0f} cm tall, texture of {avatar.texture.shape[0]} pixels")
    print(f"  {len(avatar.vertices('rest'))} vertices; pelvis {avatar.joints[0][2]:.2f} m from the camera")
    avatar.save(folder, blender=False)  # without avatar.blend

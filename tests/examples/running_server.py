"""Avatars by a server, which is started where none runs: python running_server.py FOLDER PHOTO...

The models stay loaded in the server's processes: the next script need not wait for them.
"""

import sys

import uvatar

folder, *photos = sys.argv[1:]
with uvatar.Client.connect() as client:
    for avatar in client.reconstruct(photos, uvatar.Options(fast=True, texture_size=512)):
        files = avatar.save(folder, blender=False)
        print(files.folder)

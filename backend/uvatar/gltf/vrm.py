"""The VRM 1.0 extension: which bone is which, the face's expressions, where the eyes look, and what is permitted.

VRM Consortium, VRMC_vrm-1.0 specification, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvatar.gltf.document import Document
from uvatar.protocol.expressions import EXPRESSIONS, MOODS, VISEMES

EXTENSION = "VRMC_vrm"
LICENSE = "https://vrm.dev/licenses/1.0/"
_BOTH_EYES = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
# VRM's expressions, composed of the keys. Its eyes turn on their bones, so that looking has no keys.
_PRESETS: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": MOODS["happy"],
    "angry": MOODS["angry"],
    "sad": MOODS["sad"],
    "relaxed": {"mouthSmileLeft": 0.3, "mouthSmileRight": 0.3, "eyeBlinkLeft": 0.15, "eyeBlinkRight": 0.15},
    "surprised": MOODS["surprised"],
    "aa": VISEMES["viseme_aa"],
    "ih": VISEMES["viseme_I"],
    "ou": VISEMES["viseme_U"],
    "ee": VISEMES["viseme_E"],
    "oh": VISEMES["viseme_O"],
    "blink": _BOTH_EYES,
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
}
# An eye turns this far, degrees, where the target is at the edge of the field of view, 90 degrees away.
_EYE_TURN = {"inner": 12.0, "outer": 16.0, "up": 10.0, "down": 10.0}
_MOVING_EYES = {"happy": "none", "blink": "block", "blinkLeft": "block", "blinkRight": "block"}


@dataclass(frozen=True)
class VrmMeta:
    """What a VRM file says about the avatar and its use. The default permits least; the person shown decides.

    Attributes:
        name: of the avatar.
        authors: at least one.
        avatar_permission: who may use it as their avatar: "onlyAuthor", "onlySeparatelyLicensedPerson" or "everyone".
        commercial_usage: "personalNonProfit", "personalProfit" or "corporation".
        redistribution: whether it may be passed on.
        modification: "prohibited", "allowModification" or "allowModificationRedistribution".
    """

    name: str
    authors: tuple[str, ...] = ("unknown",)
    avatar_permission: str = "onlyAuthor"
    commercial_usage: str = "personalNonProfit"
    redistribution: bool = False
    modification: str = "prohibited"


def add_vrm(document: Document, bones: Mapping[str, int], meshes: Mapping[int, Sequence[str]], meta: VrmMeta) -> None:
    """Make a document a VRM 1.0 model.

    Args:
        document: with skeleton and meshes.
        bones: node of each joint, by VRM's names.
        meshes: nodes of the meshes, each with the names of its morph targets.
        meta: about the avatar.
    """
    document.use_extension(EXTENSION)
    expressions: dict[str, Any] = {
        "preset": {name: _expression(shares, meshes, name) for name, shares in _PRESETS.items()},
        "custom": {name: _expression({name: 1.0}, meshes, name) for name in EXPRESSIONS},
    }
    document.content.extensions[EXTENSION] = {
        "specVersion": "1.0",
        "meta": {
            "name": meta.name,
            "authors": list(meta.authors),
            "licenseUrl": LICENSE,
            "avatarPermission": meta.avatar_permission,
            "commercialUsage": meta.commercial_usage,
            "allowRedistribution": meta.redistribution,
            "modification": meta.modification,
        },
        "humanoid": {"humanBones": {name: {"node": node} for name, node in bones.items()}},
        "expressions": expressions,
        "lookAt": {
            "type": "bone",
            "offsetFromHeadBone": [0.0, 0.06, 0.0],
            **{
                f"rangeMap{key}": {"inputMaxValue": 90.0, "outputScale": _EYE_TURN[turn]}
                for key, turn in (
                    ("HorizontalInner", "inner"),
                    ("HorizontalOuter", "outer"),
                    ("VerticalUp", "up"),
                    ("VerticalDown", "down"),
                )
            },
        },
    }


def _expression(shares: Mapping[str, float], meshes: Mapping[int, Sequence[str]], name: str) -> dict[str, Any]:
    binds = [
        {"node": node, "index": list(targets).index(key), "weight": share}
        for node, targets in meshes.items()
        for key, share in shares.items()
        if key in targets
    ]
    blink = _MOVING_EYES.get(name, "none")
    return {"morphTargetBinds": binds, "isBinary": False, "overrideBlink": "none", "overrideLookAt": blink,
            "overrideMouth": "none"}  # fmt: skip

"""The options of a job. Each is declared once, as a field of `Options`, in the words of `uvatar.protocol.option`.

From the declaration come the check of what a client sends (`checked_options`), the flags of the command line
(`uvatar.commands.job_options`), the properties and the panel of the Blender extension
(``uvatar_blender/ui/job_options.py``) and the table in docs/options.md (``tools/options_table.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .errors import Code, UvatarError
from .option import RECONSTRUCT, Flag, Option, Panel, option

# What a texture is made of: the photo and what completes it; that, changed by the Texture Predictor all over; changed
# where no photo looks.
TEXTURES = ("projected", "predicted", "combined")
TEXTURE_SIZES = (512, 1024, 2048, 4096)  # pixels on a side
AUTO_SIZE = "auto"
# What is worn on the feet: what the photo shows, bare feet, or this kind of shoe.
SHOES = ("auto", "none", "trainer", "flat", "boot", "heel")
# What hair becomes: as the photo shows it, part of the head's surface, none, or this style.
AS_SEEN, ON_SURFACE, NO_HAIR = "photo", "surface", "none"
HAIRSTYLES = ("bob", "long", "ponytail", "bun")
HAIR = (AS_SEEN, ON_SURFACE, NO_HAIR, *HAIRSTYLES)
_DRESSED = {"refine": True, "fast": False, "clothing": True}  # where clothes are fitted
# Which body avatars have: the one that ships, or SMPL, whose files the user brings.
BODIES = ("open_body", "smpl")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a job.

    A value of the wrong type or range is refused by `read_options`, not here.
    """

    body: str = option(
        "open_body",
        "The body of the avatars. People are fitted on the open body and transferred to the other one.",
        choices=BODIES,
        flag=Flag(
            "open_body: the body shipped with Uvatar, free for all uses. smpl: your own SMPL files (`uvatar "
            "weights` lists them and where they go), with SMPL's mesh, betas, skin weights and UV layout; under SMPL's "
            "licence, not for commercial use."
        ),
        panel=Panel(
            "Body",
            "The body of the avatars",
            {
                "open_body": ("open_body", "Open body", "Uvatar's own body: free for all uses"),
                "smpl": (
                    "smpl",
                    "SMPL (your own file)",
                    "SMPL's mesh, shape sliders, correctives and UV map, from your files; not for commercial use",
                ),
            },
            group="",
        ),
    )
    texture_size: int | str = option(
        1024,
        "Side length of the texture in pixels; auto: 1024, 2048 or 4096, by how large the photo shows the person.",
        choices=(*TEXTURE_SIZES, AUTO_SIZE),
        flag=Flag(
            "Side length of the texture in pixels: 512, 1024, 2048 or 4096; or auto, by how large the photo shows the "
            "person, from 1024 on."
        ),
        panel=Panel(
            "Texture",
            choices={
                **{size: (str(size), f"{size} px", "") for size in TEXTURE_SIZES},
                AUTO_SIZE: ("AUTO", "Automatic", "1024 to 4096 px, by how large the photo shows the person"),
            },
            group="",
        ),
    )
    texture: str | None = option(
        None,
        "How the texture is made. Without a value: combined; with fast, or without the Texture Predictor's "
        "weights, projected.",
        choices=TEXTURES,
        optional=True,
        flag=Flag(
            "projected: the photo, completed smoothly. predicted: all of it from the Texture Predictor. "
            "combined: the photo, with unseen parts predicted. [default: combined if the predictor's "
            "weights are installed, otherwise projected]"
        ),
        panel=Panel(
            "Unseen parts",
            "How parts that no photo shows are textured",
            {
                None: (
                    "AUTO",
                    "Automatic",
                    "Predicted if the Texture Predictor's weights are installed, otherwise completed from seen parts",
                ),
                "combined": (
                    "combined",
                    "Predicted",
                    "The photos where they show the person, the Texture Predictor elsewhere",
                ),
                "projected": (
                    "projected",
                    "Grown",
                    "The photos, mirrored where possible; the rest completed smoothly",
                ),
                "predicted": (
                    "predicted",
                    "Predict all",
                    "The whole texture from the Texture Predictor: softer, without the photo's lighting",
                ),
            },
            group="",
        ),
    )
    texture_seed: int = option(
        0,
        "0 gives the most likely texture prediction; other numbers give variations of it.",
        low=0,
        high=1_000_000,
        flag=Flag("Numbers other than 0 give variations of the predicted texture."),
        panel=Panel(
            "Variation",
            "0 gives the most likely prediction; other numbers give variations of it",
            group="",
            shown_if={"texture": ("combined", "predicted")},
        ),
    )
    texture_generator: str = option(
        "completion",
        "What paints unseen parts: Uvatar's own completion, or a texture generator that is installed with the backend.",
        named=True,
        flag=Flag(
            "What paints unseen parts: completion, Uvatar's own; or an installed texture generator, which `uvatar "
            "doctor` lists."
        ),
        panel=None,
    )
    fast: bool = option(
        False,
        "A quick preview: fewer steps, no clothing, no predicted texture.",
        panel=Panel(tooltip="A preview in about 60 % of the time, without clothes, hair and predicted texture"),
    )
    refine: bool = option(
        True,
        "Fit the body to the photo. If off, the Mesh Predictor's prediction is the result.",
        flag=Flag("Fit the body to the photo, or only predict it."),
        panel=Panel(tooltip="Fit the body to the photo. If off, the Mesh Predictor's first guess is the result"),
    )
    clothing: bool = option(
        True,
        "Shape the body's outline to clothes and hair.",
        panel=Panel(
            "Clothes and hair",
            "Shape the body's outline to clothes and hair, as a shape key that can be turned off",
            active_if={"refine": True, "fast": False},
        ),
    )
    shoes: str = option(
        "auto",
        "What is worn on the feet: what the photo shows, nothing, or this kind of shoe. Shoes are part of clothing.",
        choices=SHOES,
        flag=Flag(
            "auto: closed shoes where the photo shows no skin at the feet, of the kind that fits its outline best. "
            "none: bare feet. trainer, flat, boot or heel: that kind."
        ),
        panel=Panel(
            "Shoes",
            "What the avatars wear on the feet",
            {
                "auto": ("auto", "As in the photo", "Bare where the photo shows skin, else the kind that fits best"),
                "none": ("none", "None", "Bare feet, whatever the photo shows"),
                "trainer": ("trainer", "Trainers", "Low shoes with a thick sole"),
                "flat": ("flat", "Flat shoes", "Low shoes with a thin sole"),
                "boot": ("boot", "Boots", "Shoes with a shaft"),
                "heel": ("heel", "Heels", "Shoes with a high heel"),
            },
            active_if=_DRESSED,
        ),
    )
    skirts: bool = option(
        True,
        "Make skirts, dresses and long coats meshes of their own.",
        panel=Panel(
            tooltip="Make skirts, dresses and long coats meshes of their own, rather than part of the body's surface",
            active_if=_DRESSED,
        ),
    )
    hair: str = option(
        AS_SEEN,
        "What hair becomes: what the photo shows, part of the head's surface, nothing, or this style.",
        choices=HAIR,
        flag=Flag(
            "photo: long, loose hair and ponytails are meshes of their own, other hair is part of the head's surface. "
            "surface: all of it is. none: a bare head, for hair of your own. bob, long, ponytail or bun: that style, "
            "in the colour of the photo's hair."
        ),
        panel=Panel(
            "Hair",
            "What hair the avatars have",
            {
                AS_SEEN: (
                    AS_SEEN,
                    "From the photo",
                    "Long, loose hair and ponytails become objects of their own, other hair part of the head's surface",
                ),
                ON_SURFACE: (ON_SURFACE, "On the surface", "All hair is part of the head's surface"),
                NO_HAIR: (NO_HAIR, "None", "A bare head, for hair of your own; the scalp has the hair's colour"),
                "bob": ("bob", "Bob", "Loose hair down to the neck, in the colour of the photo's hair"),
                "long": ("long", "Long", "Loose hair down to the chest, in the colour of the photo's hair"),
                "ponytail": ("ponytail", "Ponytail", "A ponytail behind the head, in the colour of the photo's hair"),
                "bun": ("bun", "Bun", "A bun on the back of the head, in the colour of the photo's hair"),
            },
            active_if=_DRESSED,
        ),
    )
    same_person: bool = option(
        False,
        "All photos, or all views in one photo, show the same person: make one avatar from them.",
        flag=Flag(commands=(RECONSTRUCT,)),
        panel=None,  # it comes from the letters of the photos
    )
    max_people: int = option(
        32,
        "The most people to use from each photo, the most prominent first.",
        low=1,
        high=64,
        panel=None,
    )
    uncertain: bool = option(
        False,
        "Also make avatars when it is uncertain whether it is a person, or how they stand.",
        panel=Panel(
            "Uncertain people",
            "Also make avatars when it is uncertain whether it is a person, or how they stand: half-hidden people, "
            "for example",
        ),
    )
    height: str = option(
        "",
        "Heights of the people in centimetres, if you know them, the most prominent person first; - for an unknown "
        "one. They fix the size, and make the body more accurate.",
        heights=True,
        flag=Flag(
            "Height of the person in centimetres, if you know it: 172. Of several people, the most prominent first: "
            "172,-,165.",
            commands=(RECONSTRUCT,),
        ),
        panel=Panel(
            "Height (cm)",
            "Height of the person in centimetres, if you know it; of several people, the most prominent first: "
            "172, -, 165. Empty if you do not",
            group="",
            active_if={"refine": True},
        ),
    )
    focal: float | None = option(
        None,
        "Focal length in pixels, if you know it better than the photo's metadata.",
        low=10,
        high=1_000_000,
        optional=True,
        panel=None,
    )
    turntable: bool = option(
        False,
        "Also render eight views around each avatar.",
        flag=Flag(defaults={RECONSTRUCT: True}),
        panel=None,
    )
    export_npz: bool = option(
        False,
        "Also return the people in the format of ROMP's result files.",
        flag=Flag("Also write <photo>.npz in the format of ROMP's results.", commands=(RECONSTRUCT,)),
        panel=None,
    )
    given_people: Sequence[Mapping[str, Any]] | None = option(
        None,
        "People from another estimator, used instead of predicting.",
        people=True,
        optional=True,
        flag=None,  # --from-npz names their files
        panel=None,
    )


DEFAULT_OPTIONS = Options()
# Makes the job one of another kind (`protocol.jobs`): its pictures are no photos. Clients of protocol version 1 ask for
# it as if it were an option, so it is checked with the options.
COMPLETE_TEXTURE = "complete_texture"
FIND_PEOPLE = "find_people"  # likewise: the people of the photos are found, and no avatars are made
_KINDS = {
    COMPLETE_TEXTURE: Option(
        False, "Complete the painted texture given as the pictures.", (True, False), flag=None, panel=None
    ),
    FIND_PEOPLE: Option(False, "Find the people in the photos only.", (True, False), flag=None, panel=None),
}


def declared() -> dict[str, Option]:
    """The declaration of each option."""
    return {one.name: one.metadata["option"] for one in fields(Options)}


def checked_options(given: Any) -> dict[str, Any]:
    """The options of a job as sent, with defaults for those not given.

    Raises:
        UvatarError: "bad-option" for unknown names and unusable values.
    """
    fix = "Choose another value."
    if not isinstance(given, Mapping):
        raise UvatarError("The options are not a dictionary.", Code.BAD_OPTION, fix)
    options = {**declared(), **_KINDS}
    for name, value in given.items():
        if name not in options:
            raise UvatarError(
                f"There is no option {str(name)[:40]!r}. Options are: {', '.join(options)}.", Code.BAD_OPTION
            )
        if not options[name].accepts(value):
            raise UvatarError(f"The option {name} must be {options[name].describe()}.", Code.BAD_OPTION, fix)
    return {name: given.get(name, option.default) for name, option in options.items()}


def read_options(given: Any) -> Options:
    """`checked_options` as `Options`, without those that only tell the kind of job. Raises UvatarError."""
    return from_checked(checked_options(given))


def from_checked(checked: Mapping[str, Any]) -> Options:
    """What `checked_options` has returned as `Options`."""
    return Options(**{name: checked[name] for name in declared()})

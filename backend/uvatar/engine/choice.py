"""Chooses the person that several photos share, one per photo, by appearance over all photos; or several views
in one photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uvatar.data.arrays import Floats, Integers
from uvatar.data.fit import BodyParameters
from uvatar.data.person import Person
from uvatar.engine.likeness import Appearance, unlikeness


@dataclass(frozen=True)
class ChoiceSettings:
    """Tuned numbers of the choice; differences are delta E as `likeness.unlikeness` measures them.

    How they were chosen: of 40 rendered people in two photos each, turned at random and in other light, the same person
    is 4.5 in the median and 11.3 at most; two people are 20 in the median, and below 13 in one pair of ten. Real people
    of different photos are 22 in the median, below 13.7 in one pair of ten, for many wear the same colours; seven in
    black suits all look alike.

    Attributes:
        alike: up to here two views are of one person without a remark.
        unlike: from here on they are of two people.
        unknown: what it counts where the two views show no part of the body in common.
        close_call: by so much the one who was chosen must look more like the other photos' than anybody else of the
            photo.
        candidates: people of each of several photos who are compared, the most prominent ones.
        turned: cosine: views of a sheet are of other sides; where all face within 45 degrees of each other, several
            people are as likely.
        prominence: delta E per halving of the height in the photo: of people who look equally like, the most prominent
            one is meant.
    """

    alike: float = 9.0
    unlike: float = 13.0
    unknown: float = 11.0
    close_call: float = 3.0
    candidates: int = 8
    turned: float = 0.7
    prominence: float = 2.0


DEFAULT_SETTINGS = ChoiceSettings()


@dataclass(frozen=True)
class Candidate:
    """One person of one photo: a candidate.

    Attributes:
        photo: index of the photo.
        number: of the person within the photo, 0 the most prominent.
        facing: (3,) unit vector forward from the pelvis, camera frame.
    """

    photo: int
    number: int
    person: Person
    appearance: Appearance
    facing: NDArray[np.float64]

    @property
    def height(self) -> float:
        """Of the box, pixels."""
        return float(np.ptp(self.person.box[[1, 3]]))


@dataclass(frozen=True)
class Choice:
    """Which candidates are of the one person.

    Attributes:
        views: the candidates that go into the avatar; where one photo alone is given, perhaps several of it.
        left_out: photos in which nobody looks like the person, and why, in a sentence.
        notes: what to know about the choice, in sentences.
        separate: the views, all of one photo, are of different people after all.
    """

    views: list[Candidate]
    left_out: dict[int, str]
    notes: tuple[str, ...]
    separate: bool = False


def choose_views(
    candidates: Sequence[Candidate], names: Mapping[int, str], settings: ChoiceSettings = DEFAULT_SETTINGS
) -> Choice:
    """Find the person that all photos show; ``names`` of the photos by index. Needs at least one candidate."""
    apart = _apart(candidates, settings)
    photo = np.array([one.photo for one in candidates])
    if len(set(photo.tolist())) == 1:
        return _in_one_photo(candidates, apart, names[candidates[0].photo], settings)
    prior = _prior(candidates, settings)
    chosen = _settled(_best_of_each(apart, photo, prior, settings), apart, photo, prior, settings)
    kept = _consistent(chosen, apart, settings)
    views = [candidates[i] for i in kept]
    named = _listed([names[view.photo] for view in views])
    left_out = {
        candidates[
            i
        ].photo: f"Nobody in {names[candidates[i].photo]} looks like the person in {named}, so it was left out. "
        "If it does show the same person, for example in other clothes, make a separate avatar from it."
        for i in chosen
        if i not in kept
    }
    notes = [f"{names[index]} was left out: nobody in it looks like this person." for index in left_out]
    for i in kept:
        notes += _remarks(i, kept, candidates, apart, names[candidates[i].photo], settings)
    return Choice(views, left_out, tuple(notes))


def _apart(candidates: Sequence[Candidate], settings: ChoiceSettings) -> NDArray[np.float64]:
    """(N, N) unlikeness of all pairs."""
    appearances = [one.appearance for one in candidates]
    apart = np.array([unlikeness(one, appearances) for one in appearances])
    apart[np.isnan(apart)] = settings.unknown
    np.fill_diagonal(apart, 0.0)
    return apart


def _prior(candidates: Sequence[Candidate], settings: ChoiceSettings) -> NDArray[np.float64]:
    """(N,) delta E that a person of little prominence in the photo counts as further apart."""
    highest: dict[int, float] = {}
    for one in candidates:
        highest[one.photo] = max(highest.get(one.photo, 1.0), one.height)
    return np.array([settings.prominence * np.log2(highest[one.photo] / max(one.height, 1.0)) for one in candidates])


def _best_of_each(apart: Floats, photo: Integers, prior: Floats, settings: ChoiceSettings) -> list[int]:
    """One candidate of each photo: those nearest to the candidate that has the nearest ones.

    Photos where nobody is near do not count.
    """
    photos = np.unique(photo)
    near = np.minimum(apart, settings.unlike) + prior
    total = prior + sum(near[:, photo == one].min(1) * (photo != one) for one in photos)
    anchor = int(np.argmin(total))
    return [anchor if photo[anchor] == one else _least(near[anchor], photo == one) for one in photos]


def _settled(chosen: list[int], apart: Floats, photo: Integers, prior: Floats, settings: ChoiceSettings) -> list[int]:
    """The choice after each photo's has been made anew by what all others' look like, until nothing changes."""
    for _ in range(len(chosen)):
        before = list(chosen)
        for place, i in enumerate(before):
            others = chosen[:place] + chosen[place + 1 :]
            cost = np.minimum(apart[:, others], settings.unlike).mean(1) + prior
            chosen[place] = _least(cost, photo == photo[i])
        if chosen == before:
            break
    return chosen


def _least(cost: Floats, among: NDArray[np.bool_]) -> int:
    places = np.flatnonzero(among)
    return int(places[np.argmin(cost[places])])


def _consistent(chosen: Sequence[int], apart: Floats, settings: ChoiceSettings) -> list[int]:
    """The largest part of the chosen ones that all look like one of them; of parts of equal size the one with the
    earliest photo's.
    """
    groups = [[j for j in chosen if apart[i, j] < settings.unlike] for i in chosen]
    return max(groups, key=lambda group: (len(group), -min(group)))


def _remarks(
    i: int, kept: Sequence[int], candidates: Sequence[Candidate], apart: Floats, name: str, settings: ChoiceSettings
) -> list[str]:
    """What to say of the candidate that was chosen of one photo."""
    others = [j for j in kept if j != i]
    rivals = [j for j, one in enumerate(candidates) if one.photo == candidates[i].photo and j != i]
    remarks = []
    if rivals:
        where = _place(candidates[i], [candidates[j] for j in rivals])
        remarks.append(f"{name} shows {len(rivals) + 1} people; {where} was used.")
    if not others:
        return remarks
    mine = apart[i, others].mean()
    if mine > settings.alike:
        remarks.append(
            f"The person in {name} looks slightly different in the other photos: check that it is the same person."
        )
    if rivals and apart[np.ix_(rivals, others)].mean(1).min() < mine + settings.close_call:
        remarks.append(
            f"Others in {name} look very similar: check that the right person was used, or crop the others out of the "
            "photo."
        )
    return remarks


def _in_one_photo(candidates: Sequence[Candidate], apart: Floats, name: str, settings: ChoiceSettings) -> Choice:
    """Several views of one person in one photo: all who look like the person who has the most who look alike."""
    if len(candidates) == 1:
        return Choice(list(candidates), {}, (), separate=True)
    near = np.minimum(apart, settings.unlike).sum(1) + _prior(candidates, settings)
    anchor = int(np.argmin(near))
    kept = [i for i in range(len(candidates)) if apart[anchor, i] < settings.unlike]
    if len(kept) == 1:
        note = f"The {len(candidates)} people in {name} look different, so each became a separate avatar."
        return Choice(list(candidates), {}, (note,), separate=True)
    notes = [f"{len(kept)} views of one person in {name} became one avatar."]
    if len(kept) < len(candidates):
        rest = len(candidates) - len(kept)
        notes.append(
            f"{'One' if rest == 1 else rest} more in {name} looked different and {'was' if rest == 1 else 'were'} left "
            "out."
        )
    facing = np.array([candidates[i].facing for i in kept])
    if max(apart[anchor, kept]) > settings.alike or (facing @ facing.T).min() > settings.turned:
        notes.append("Check that they show one person rather than several people dressed alike.")
    return Choice([candidates[i] for i in kept], {}, tuple(notes))


def facing(body: BodyParameters) -> NDArray[np.float64]:
    """(3,) the direction in which a body's pelvis faces, camera frame."""
    forward: NDArray[np.float64] = Rotation.from_rotvec(body.global_orient).apply([0.0, 0.0, 1.0])
    return forward


def _place(one: Candidate, others: Sequence[Candidate]) -> str:
    """Where in the photo somebody is, in words."""
    middle = [float(np.mean(candidate.person.box[[0, 2]])) for candidate in (one, *others)]
    rank = sum(x < middle[0] for x in middle[1:])
    if rank == 0:
        return "the one on the left"
    if rank == len(others):
        return "the one on the right"
    return f"number {rank + 1} from the left"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

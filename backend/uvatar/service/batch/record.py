"""The record of a batch: the outcome of each photo, and which photos are done."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uvatar.files.avatar_folders import RECORD, same_name, stem_of
from uvatar.protocol import atomic_files, photo_lists
from uvatar.protocol.errors import Code
from uvatar.service.batch.photos import BatchPhoto

FINAL = (Code.BAD_PHOTO, Code.BAD_NPZ)  # failures of the photo itself: a retry changes nothing


@dataclass(frozen=True)
class PhotoOutcome:
    """The outcome of a photo: one line of the record.

    Attributes:
        key: identifies the photo (`BatchPhoto.key`).
        stem: stem of its folders' names below the output folder: ``<stem>_p0`` and so on.
        stamp: size and time of the file (`BatchPhoto.stamp`); empty if it could not be read.
        code: error code if it failed, else empty.
        reason: why it failed, in a sentence; else empty.
        folders: its people's folders, relative to the output folder.
        digest: sha256 of the file; empty if it could not be read.
        people: each person's figures: confidence, landmark_error, outline.
        seconds: how long each stage took.
    """

    key: str
    stem: str
    stamp: str
    code: str = ""
    reason: str = ""
    folders: tuple[str, ...] = ()
    people: tuple[Mapping[str, float | None], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    digest: str = ""

    @property
    def done(self) -> bool:
        """Whether the photo gave avatars."""
        return not self.code

    @property
    def told_reason(self) -> str:
        """The reason with "it" in place of the photo's name, for lines that already name the photo."""
        name = photo_lists.photo_name(Path(self.key).name)
        rest = self.reason.removeprefix(f"{name} ")
        return (self.reason if rest == self.reason else f"it {rest}").replace(f" in {name}", " in it")


class BatchRecord:
    """The outcomes so far, in a file in the output folder: one line of JSON each, on disk before the next is begun."""

    def __init__(self, out: Path) -> None:
        """Raises OSError."""
        self.out = out
        self.outcomes: dict[str, PhotoOutcome] = {}
        self.last: PhotoOutcome | None = None  # of a photo that could be read
        self._stems: set[str] = set()  # as `same_name` has them
        out.mkdir(parents=True, exist_ok=True)
        path = out / RECORD
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError, KeyError):  # the last line may have been cut short
                    self._keep(PhotoOutcome(**json.loads(line)))
        self._file = path.open("a", encoding="utf-8")
        self._file.write("\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, outcome: PhotoOutcome) -> None:
        """Record an outcome. Raises OSError."""
        self._keep(outcome)
        self._file.write(json.dumps(asdict(outcome)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def forget(self, digests: Collection[str]) -> int:
        """Drop the outcomes of photos (sha256), and those without a sha256 whose avatars no longer exist.

        Returns:
            how many outcomes were dropped.

        Raises:
            OSError: the record cannot be rewritten.
        """
        gone = [key for key, outcome in self.outcomes.items() if outcome.digest in digests or self._is_gone(outcome)]
        for key in gone:
            del self.outcomes[key]
        if gone:
            lines = [json.dumps(asdict(outcome)) + "\n" for outcome in self.outcomes.values()]
            self._file.close()  # Windows cannot replace an open file
            atomic_files.write_atomically(self.out / RECORD, [line.encode("ascii") for line in lines])
        return len(gone)

    def _is_gone(self, outcome: PhotoOutcome) -> bool:
        return (
            not outcome.digest
            and bool(outcome.folders)
            and not any((self.out / folder).exists() for folder in outcome.folders)
        )

    def is_done(self, photo: BatchPhoto) -> bool:
        """Whether nothing is left to do for this unchanged file: its avatars exist, or it failed for good."""
        outcome = self.outcomes.get(photo.key)
        try:
            if outcome is None or outcome.stamp != photo.stamp():
                return False
        except OSError:
            return False
        if not outcome.done:
            return outcome.code in FINAL
        return all((self.out / folder / "result.json").is_file() for folder in outcome.folders)

    def stem(self, photo: BatchPhoto) -> str:
        """The stem of the photo's folders: that of the last run, or one that no other photo has."""
        known = self.outcomes.get(photo.key)
        if known:
            return known.stem
        stem = stem_of(os.path.splitext(photo.key)[0], keep_end=True)
        free, count = stem, 1
        while same_name(free) in self._stems:
            count += 1
            free = f"{stem}-{count}"
        self._stems.add(same_name(free))
        return free

    def folders(self, photo: BatchPhoto) -> tuple[str, ...]:
        """Names of the photo's folders from an earlier run."""
        known = self.outcomes.get(photo.key)
        return known.folders if known else ()

    def _keep(self, outcome: PhotoOutcome) -> None:
        self.outcomes[outcome.key] = outcome
        self.last = outcome if outcome.digest else self.last
        self._stems.add(same_name(outcome.stem))


def figures(result: Mapping[str, Any]) -> tuple[dict[str, float | None], ...]:
    """Confidence, landmark error and mask overlap (IoU) of each person in a photo's result."""
    names = {"landmark_error": "landmark_error_median", "outline": "mask_iou"}
    return tuple(
        {
            "confidence": person.get("confidence"),
            **{name: (person.get("metrics") or {}).get(key) for name, key in names.items()},
        }
        for person in result["people"]
    )

"""The shipped weights are the shipped ones, or nothing is made with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from uvatar.engine.engine import Engine
from uvatar.engine.reconstruct import reconstruct
from uvatar.protocol.options import Options
from uvatar.runtime.weights import WeightsError, check_shipped, weights_folder

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "man.jpg"


def test_what_ships_is_what_its_pages_record() -> None:
    check_shipped(weights_folder())


def test_an_exchanged_file_is_refused(tmp_path: Path) -> None:
    body = tmp_path / "body.npz"
    body.write_bytes(b"as it was shipped")
    digest = hashlib.sha256(body.read_bytes()).hexdigest()
    body.with_suffix(".md").write_text(f"# Body\n\nThe body.\n\nsha256: `{digest}`\n", encoding="utf-8")
    (tmp_path / "of_the_user.npz").write_bytes(b"no page beside it")
    check_shipped(tmp_path)
    body.write_bytes(b"as it was shipped, and more")
    with pytest.raises(WeightsError, match=r"body.npz is damaged"):
        check_shipped(tmp_path)


def test_an_engine_reads_the_weights_that_it_is_given_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = weights_folder()
    monkeypatch.setenv("UVATAR_WEIGHTS", str(tmp_path / "nowhere"))
    engine = Engine.load(given, threads=1)
    options = Options(fast=True, clothing=False, texture_size=512)
    [person] = reconstruct((SAMPLE.name, SAMPLE.read_bytes()), engine, options).people
    assert person.person.face is not None  # so that also the correspondence of faces was read
    with pytest.raises(WeightsError, match="nowhere"):
        Engine.load()

"""The kinds of jobs that options ask for."""

from __future__ import annotations

from typing import Any

import pytest

from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.jobs import CompleteTexture, Reconstruct, has_one_result, read_job
from uvatar.protocol.options import Options, checked_options


def test_a_job_without_options_reconstructs() -> None:
    assert read_job({}) == Reconstruct(Options())
    assert read_job({"fast": True, "complete_texture": False}) == Reconstruct(Options(fast=True))


def test_a_painted_texture_is_a_job_of_its_own() -> None:
    for more in ({}, {"same_person": True}):  # which version 0.1 wanted, too
        assert read_job({"complete_texture": True, **more}) == CompleteTexture("open_body")
    assert read_job({"complete_texture": True, "body": "smpl"}) == CompleteTexture("smpl")


def test_jobs_that_cannot_be_read_are_refused() -> None:
    wrongs: list[Any] = [{"complete_texture": 1}, {"complete_texture": True, "body": "smplx"}, {"fast": None}, []]
    for wrong in wrongs:
        with pytest.raises(UvatarError) as caught:
            read_job(wrong)
        assert caught.value.code is Code.BAD_OPTION


def test_pictures_that_become_one_result_stay_together() -> None:
    together = [{}, {"same_person": True}, {"complete_texture": True}]
    assert [has_one_result(checked_options(options)) for options in together] == [False, True, True]

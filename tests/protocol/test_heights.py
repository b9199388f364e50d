"""Heights as people type them."""

from __future__ import annotations

import pytest

from uvatar.protocol.errors import UvatarError
from uvatar.protocol.heights import heights_of
from uvatar.protocol.options import read_options


@pytest.mark.parametrize(
    ("text", "heights"),
    [
        ("", []),
        ("172", [172.0]),
        (" 172.5 ", [172.5]),
        ("172, -, 95", [172.0, None, 95.0]),
        ("-;180 165", [None, 180.0, 165.0]),
    ],
)
def test_heights_are_read(text: str, heights: list[float | None]) -> None:
    assert heights_of(text) == heights
    assert read_options({"height": text}).height == text


@pytest.mark.parametrize(
    "text", ["tall", "1.72", "172cm", "30", "300", "-172", "nan", "1e2", "x", 172, None, "9" * 2000]
)
def test_what_is_no_height_is_refused(text: object) -> None:
    with pytest.raises(UvatarError, match="heights in centimetres"):
        read_options({"height": text})

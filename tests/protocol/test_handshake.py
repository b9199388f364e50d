"""How client and server make sure of each other, frame by frame."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from uvatar.protocol import handshake
from uvatar.protocol.errors import UvatarError

TOKEN = "a token of sixteen letters"


def code_of(answer: list[bytes], asked: bytes, token: str = TOKEN, port: int = 50123) -> str:
    with pytest.raises(UvatarError) as caught:
        handshake.check_proof(answer, asked, token, port)
    assert caught.value.message and caught.value.fix
    return caught.value.code


def test_a_server_proves_that_it_has_the_token_and_the_port() -> None:
    asked = handshake.challenge()
    assert asked[:9] == b"uvatar 2?" and len(asked) == 41 and asked != handshake.challenge()
    assert handshake.is_challenge([asked])
    answer = handshake.proof(asked, TOKEN, 50123)
    assert answer == b"uvatar 2!" + hmac.new(TOKEN.encode(), asked + b"50123", hashlib.sha256).digest()
    handshake.check_proof([answer], asked, TOKEN, 50123)
    assert code_of([answer], asked, port=50124) == "wrong-token"
    assert code_of([answer], asked, token="another") == "wrong-token"
    assert code_of([answer], handshake.challenge()) == "wrong-token"
    assert code_of([answer, b""], asked) == "wrong-token"
    assert code_of([b""], asked) == "wrong-token"
    assert code_of([b"220 mail.example ready"], asked) == "wrong-token"
    assert code_of([asked], asked) == "wrong-token"


@pytest.mark.parametrize("answer", [b"{}", b'{"magic":"uvatar","protocol":1}', b"uvatar 3!" + bytes(32)])
def test_a_server_of_another_version_is_told_apart(answer: bytes) -> None:
    assert code_of([answer], handshake.challenge()) == "unsupported-version"


@pytest.mark.parametrize(
    "frames",
    [[b""], [b"uvatar 2?"], [b"uvatar 2!" + bytes(32)], [b"uvatar 2?" + bytes(33)], [b"uvatar 2?" + bytes(31)]],
)
def test_what_is_no_challenge_gets_no_proof(frames: list[bytes]) -> None:
    assert not handshake.is_challenge(frames)
    assert not handshake.is_challenge([handshake.challenge(), b""])


def test_a_request_begins_with_the_token_and_nothing_else() -> None:
    assert handshake.has_token([TOKEN.encode(), b"more"], TOKEN) and handshake.has_token([b"x" * 1000], "x" * 1000)
    for frame in (b"", TOKEN.encode()[:-1], TOKEN.encode() + b"x", b"x" * 1001):
        assert not handshake.has_token([frame], TOKEN)
    assert not handshake.has_token([b"x" * 1001], "x" * 1001)  # longer than any token may be


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"", "wrong-token"),
        (b"x" * 100, "wrong-token"),
        (b"uvatar 2?", "wrong-token"),
        (b"uvatar 3?", "unsupported-version"),
        (b'{"magic":"uvatar","protocol":1,"body":{}}', "unsupported-version"),
    ],
)
def test_a_refusal_can_be_read_by_every_version(start: bytes, code: str) -> None:
    [frame] = handshake.refusal([start, b"more"])
    header = json.loads(frame)
    assert header["magic"] == "uvatar" and header["protocol"] == 1
    assert header["body"]["kind"] == "error" and header["body"]["code"] == code and header["body"]["request"] is None

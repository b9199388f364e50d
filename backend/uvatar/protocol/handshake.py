"""How client and server make sure of each other before anything is sent or read.

A client first sends a challenge, a message of one frame. The server's answer, one frame too, proves that it has the
token and listens at the very port that the client has connected to: whoever has taken over the port of a server that
died learns nothing, not even by asking the server that runs now. Then each request begins with a frame that is the
token, so that a server need not look at anything else of a stranger's message. docs/protocol.md describes this.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from .errors import Code, UvatarError
from .framing import MAGIC, PROTOCOL_VERSION

_GREETING = f"{MAGIC} ".encode("ascii")  # of every version from 2 on
_CHALLENGE = _GREETING + b"%d?" % PROTOCOL_VERSION
_PROOF = _GREETING + b"%d!" % PROTOCOL_VERSION
_NONCE_BYTES = 32
MOST_TOKEN = 1000  # bytes


def challenge() -> bytes:
    """A new challenge."""
    return _CHALLENGE + secrets.token_bytes(_NONCE_BYTES)


def is_challenge(frames: Sequence[Any]) -> bool:
    """Whether a message is a challenge. Takes no time, however large it is."""
    view = memoryview(frames[0])
    return len(frames) == 1 and view.nbytes == len(_CHALLENGE) + _NONCE_BYTES and view[: len(_CHALLENGE)] == _CHALLENGE


def proof(asked: bytes, token: str, port: int) -> bytes:
    """The answer to the challenge ``asked`` of the server that has this token and listens at this port."""
    return _PROOF + hmac.digest(token.encode(), asked + b"%d" % port, "sha256")


def check_proof(frames: Sequence[Any], asked: bytes, token: str, port: int) -> None:
    """Check a server's answer to the challenge ``asked``. Raises UvatarError: it is another server, or version."""
    answer = bytes(frames[0])
    if len(frames) == 1 and hmac.compare_digest(answer, proof(asked, token, port)):
        return
    raise _other_version() if _is_other_version(answer) else _wrong_token()


def has_token(frames: Sequence[Any], token: str) -> bool:
    """Whether a message begins with this token. Takes no time, however large it is."""
    view = memoryview(frames[0])
    return view.nbytes <= MOST_TOKEN and hmac.compare_digest(bytes(view), token.encode())


def refusal(frames: Sequence[Any]) -> list[bytes]:
    """The answer to a message that does not begin with the token, in frames that every version can read."""
    start = bytes(memoryview(frames[0])[: len(_CHALLENGE)])
    error = _other_version() if _is_other_version(start) else _wrong_token()
    body = {"kind": "error", **error.as_dict(), "request": None}
    return [json.dumps({"magic": MAGIC, "protocol": 1, "body": body}).encode("ascii")]


def _is_other_version(start: bytes) -> bool:
    """Whether a frame that is not what it should be is another version's: version 1 begins with a header in JSON."""
    return start.startswith((b"{", _GREETING)) and not start.startswith((_CHALLENGE, _PROOF))


def _other_version() -> UvatarError:
    message = f"The other side does not use version {PROTOCOL_VERSION} of the protocol."
    return UvatarError(message, Code.UNSUPPORTED_VERSION)


def _wrong_token() -> UvatarError:
    fix = "Connect again; the server may have restarted. A tunnel must have the same port number at both ends."
    return UvatarError("The token does not belong to this server.", Code.WRONG_TOKEN, fix)

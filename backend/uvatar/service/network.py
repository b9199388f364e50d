"""Connections from other computers: encrypted (CURVE), and only with the access file.

CURVE (rfc.zeromq.org/spec/26) gives every connection its own keys: nobody in between can read or change anything, the
client knows that it talks to this server, and the server admits only the key pair in the access file, before it reads
any message. The token in each message is checked in addition.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import socket
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from uvatar.protocol import atomic_files
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.framing import MAGIC
from uvatar.protocol.private_files import private_file

_KEYS = "network-keys.json"
_ACCESS = "network-access.json"
_ANY = ("0.0.0.0", "*", "::")  # noqa: S104 (to recognise them)


@dataclass(frozen=True)
class Keys:
    """The server's side. Keys are Z85 text of 32 bytes.

    Attributes:
        server_public, server_secret: the server's pair.
        client_public: the only client key that is admitted.
        client_secret: of the same pair, for the access file.
        token: must be in every request from the network.
    """

    server_public: str
    server_secret: str
    client_public: str
    client_secret: str
    token: str


@dataclass(frozen=True)
class Access:
    """The content of the access file, which a client on another computer needs.

    Attributes:
        host, port: the server's address, as the client sees it.
        server: the server's public key.
        public, secret: the client's key pair.
        token: must be in every request.
    """

    host: str
    port: int
    server: str
    public: str
    secret: str
    token: str


def load_keys(folder: Path) -> Keys:
    """The keys of this data folder's server. If there are none, they are created, readable by this user only.

    Deleting the file invalidates all access files.

    Raises:
        UvatarError: the file is damaged, other users could have written it, or CURVE is not available.
        OSError: the file cannot be read or created.
    """
    if not zmq.has("curve"):
        fix = "Install pyzmq from its official wheel, or omit --network."
        raise UvatarError(
            "This computer's ZeroMQ has no encryption, so the server does not accept network connections.",
            Code.NO_ENCRYPTION,
            fix,
        )
    path = folder / _KEYS
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        server, client = ([key.decode("ascii") for key in zmq.curve_keypair()] for _ in range(2))
        keys = Keys(server[0], server[1], client[0], client[1], secrets.token_urlsafe(32))
        atomic_files.write_atomically(path, [json.dumps(asdict(keys)).encode("ascii")])
    private_file(path, "keys")
    return Keys(**_fields(path, Keys))


def write_access(folder: Path, keys: Keys, address: str, port: int) -> Path:
    """Write the access file for other computers, and return its path; ``address`` is that of ``--network``."""
    host = socket.gethostname() if address in _ANY else address
    access = Access(host, port, keys.server_public, keys.client_public, keys.client_secret, keys.token)
    path = folder / _ACCESS
    atomic_files.write_atomically(path, [json.dumps({"magic": MAGIC, **asdict(access)}, indent=1).encode("ascii")])
    return path


def read_access(path: Path) -> Access:
    """Read what `write_access` wrote. Raises UvatarError, OSError."""
    fields = _fields(path, Access)
    if isinstance(fields["port"], bool) or not isinstance(fields["port"], int) or not 0 < fields["port"] < 65536:
        raise UvatarError(
            f"{path} is not a Uvatar access file.", Code.BAD_ACCESS, "Copy network-access.json from the server again."
        )
    return Access(**fields)


def split_address(text: str) -> tuple[str, int]:
    """Split ``host:port``. Raises UvatarError if it is not an address."""
    host, _, port = text.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        fix = "Enter host and port (1 to 65535), such as 192.168.1.5:50123 or 0.0.0.0:50123."
        raise UvatarError(f"{text!r} is not an address.", Code.BAD_ADDRESS, fix)
    return host.strip("[]"), int(port)


def endpoint(host: str, port: int) -> str:
    """The address in ZeroMQ's form."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def encrypt_server(server: zmq.Socket[bytes], keys: Keys) -> None:
    """Make a socket that is not bound yet accept CURVE only, and check the client's key."""
    server.curve_server = True
    server.curve_secretkey = keys.server_secret.encode("ascii")
    server.curve_publickey = keys.server_public.encode("ascii")
    server.zap_domain = b"uvatar"


def encrypt_client(client: zmq.Socket[bytes], access: Access) -> None:
    """Make a socket that is not connected yet use CURVE, with this server only."""
    client.curve_serverkey = access.server.encode("ascii")
    client.curve_publickey = access.public.encode("ascii")
    client.curve_secretkey = access.secret.encode("ascii")


class ClientKeyAuthenticator:
    """Accepts the one client key (ZeroMQ's ZAP, rfc.zeromq.org/spec/27, in a thread)."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: Keys) -> None:
        self._key = keys.client_public.encode("ascii")
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(domain="uvatar", credentials_provider=self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client with this public key (Z85) is admitted."""
        return hmac.compare_digest(key, self._key)

    def close(self) -> None:
        """Stop admitting clients."""
        self._authenticator.stop()


def _fields(path: Path, kind: type[Keys] | type[Access]) -> dict[str, Any]:
    names = [entry.name for entry in fields_of(kind)]
    try:
        stored = json.loads(path.read_bytes())
        fields = {name: stored[name] for name in names}
        if all(isinstance(fields[name], str) and fields[name].isascii() for name in names if name != "port"):
            return fields
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise UvatarError(
        f"{path} is damaged.",
        Code.BAD_ACCESS,
        "Delete it on the server, restart the server and copy the access file again.",
    )

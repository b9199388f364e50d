"""The encrypted way in from other computers, and that there is no other."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.commands.test_cli import uvatar
from tests.service.servers import FAKE, PATIENCE, photo
from uvatar.protocol import discovery
from uvatar.protocol.errors import UvatarError
from uvatar.service import network
from uvatar.service.client import Client, ServerGone, reach
from uvatar.service.listener import Listener
from uvatar.service.model_process import PoolSettings
from uvatar.service.network import Access, read_access
from uvatar.service.server import Front, Settings
from uvatar_blender.core.zmtp import Dealer

SECRET = b"the bytes of a face"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server in this process that lets other computers in, by way of this one's own address."""
    folder = tmp_path_factory.mktemp("network")
    front = Front(Settings(folder, network=("127.0.0.1", free_port()), pool=PoolSettings(pipeline=FAKE)))
    thread = threading.Thread(target=front.run)
    thread.start()
    yield front
    front.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def access(front: Front) -> Access:
    return read_access(front.access)


class Relay:
    """Stands between client and server and keeps every byte."""

    def __init__(self, port: int) -> None:
        self.seen = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._server = port
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.seen += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def send_secret(client: Client) -> None:
    with client:
        job = client.submit([("a.jpg", photo(words=SECRET.decode()))])
        assert list(client.events(job))[-1]["photos"][0]["state"] == "done"


def test_nobody_on_the_way_can_read_along(front: Front, access: Access) -> None:
    with closing(Relay(access.port)) as relay:
        send_secret(reach(replace(access, port=relay.port)))
        assert len(relay.seen) > 1000 and SECRET not in relay.seen and access.token.encode() not in relay.seen
    with closing(Relay(front.port)) as relay:  # without encryption a relay is noticed before it sees anything
        with pytest.raises(UvatarError) as caught:
            send_secret(Client(relay.port, front.runtime.token))
        assert caught.value.code == "wrong-token"
        assert len(relay.seen) > 100 and SECRET not in relay.seen and front.runtime.token.encode() not in relay.seen


def test_whoever_speaks_plainly_is_refused(front: Front, access: Access) -> None:
    with Client(access.port, access.token, reply_seconds=2) as client, pytest.raises(ServerGone):
        client.hello()
    with pytest.raises(ConnectionError):  # the add-on's own ZMTP: it says so at once
        Dealer("127.0.0.1", access.port, timeout=5)


def other_pair() -> dict[str, str]:
    public, secret = zmq.curve_keypair()
    return {"public": public.decode(), "secret": secret.decode()}


@pytest.mark.parametrize("wrong", ["client", "server"])
def test_wrong_keys_are_refused(access: Access, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvatar.service.client.REACH_SECONDS", 2.0)
    changes: dict[str, Any] = other_pair() if wrong == "client" else {"server": other_pair()["public"]}
    with pytest.raises(ServerGone, match="refused the connection"):
        reach(replace(access, **changes))


def test_the_token_counts_inside_too(front: Front, access: Access) -> None:
    for token in ("wrong", front.runtime.token):
        with pytest.raises(UvatarError) as caught:
            reach(replace(access, token=token))
        assert caught.value.code == "wrong-token"
    with Client(front.port, access.token) as client, pytest.raises(UvatarError) as caught:
        client.hello()
    assert caught.value.code == "wrong-token"


def test_the_network_is_not_opened_without_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zmq.Context() as context, pytest.raises(UvatarError) as caught:
        Listener(context, "0.0.0.0", 0, "token")
    assert caught.value.code == "no-encryption"
    monkeypatch.setattr(zmq, "has", lambda capability: False)
    with pytest.raises(UvatarError) as caught:
        Front(Settings(tmp_path, network=("0.0.0.0", free_port())))
    assert caught.value.code == "no-encryption"


@pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")
def test_keys_are_for_their_owner_only(front: Front) -> None:
    for name in ("network-keys.json", "network-access.json", "server.json"):
        assert (front.settings.folder / name).stat().st_mode & 0o777 == 0o600
    assert network.load_keys(front.settings.folder) == network.load_keys(front.settings.folder)


def test_by_default_nobody_else_can_connect(tmp_path: Path) -> None:
    front = Front(Settings(tmp_path, pool=PoolSettings(pipeline=FAKE)))
    try:
        address = socket.gethostbyname(socket.gethostname())
        if address.startswith("127."):
            address = "127.0.0.2"  # this computer's all the same, but not the address that is listened on
        with pytest.raises(OSError):  # noqa: PT011 (a firewall has errors of its own)
            socket.create_connection((address, front.port), timeout=2).close()
    finally:
        front._close()


@pytest.mark.parametrize("damaged", [b"", b"{}", b"[]", b'{"host": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_access_file_is_told(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "access.json").write_bytes(damaged)
    with pytest.raises(UvatarError) as caught:
        read_access(tmp_path / "access.json")
    assert caught.value.code == "bad-access"


@pytest.mark.parametrize("address", ["", "host", ":1", "host:", "host:0", "host:70000", "host:1x"])
def test_an_address_has_host_and_port(address: str) -> None:
    with pytest.raises(UvatarError):
        network.split_address(address)


def test_the_command_line_works_from_another_computer(start_server: Callable[..., Any], tmp_path: Path) -> None:
    server = start_server("--network", f"127.0.0.1:{free_port()}")
    access_file = tmp_path / "laptop" / "access.json"
    access_file.parent.mkdir()
    access_file.write_bytes((server.folder / "network-access.json").read_bytes())
    (tmp_path / "a.jpg").write_bytes(photo())
    elsewhere = {"UVATAR_DATA": str(tmp_path / "laptop" / "data"), "UVATAR_SERVER": str(access_file)}
    done = uvatar("reconstruct", tmp_path / "a.jpg", "--out", tmp_path / "out", "--no-blend", **elsewhere)
    assert done.returncode == 0 and "Starting" not in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "out" / "a_p0" / "result.json").is_file() and not (tmp_path / "laptop" / "data").exists()
    status = uvatar("status", **elsewhere)
    assert status.returncode == 0 and "finished" in status.stdout
    assert discovery.read_runtime(server.folder)
    assert "Deleted 1 jobs" in uvatar("forget", tmp_path / "a.jpg", **elsewhere).stdout

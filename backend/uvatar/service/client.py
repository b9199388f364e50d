"""A client of the server, for the command line and for scripts.

with Client.connect() as client:
    for avatar in client.reconstruct("me.jpg"):
        avatar.save("out")

`Client.submit`, `Client.events` and `Client.result` are its steps, for programs that keep track of jobs by their ids.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import zmq

from uvatar.data.photo import PhotoFile
from uvatar.data.progress import Progress, ignore_progress
from uvatar.files.given_photos import GivenPhoto, photo_files
from uvatar.protocol import discovery, framing, handshake, photo_lists
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.messages import JobRequest, SentPhoto, finished_event, photo_event
from uvatar.protocol.options import DEFAULT_OPTIONS, Options
from uvatar.protocol.private_files import private_output, usable_data_folder
from uvatar.runtime.loopback import check_loopback, listens
from uvatar.runtime.spawn import environment, module_command
from uvatar.service import network
from uvatar.service.journal_database import is_open
from uvatar.service.logs import logs_folder
from uvatar.service.network import Access

if TYPE_CHECKING:
    from uvatar.files.avatar import Avatar

# Chosen so that a person at the terminal does not take a busy computer for a broken one; none was measured.
REPLY_SECONDS = 60.0  # to wait for a reply: a server on a busy disk may take long to store a job
SILENCE_SECONDS, START_SECONDS = 3.0, 60.0  # without events until a job's status is asked for; for a server to start
RUNTIME_SECONDS = 5.0  # to wait for server.json where a server uses the folder: it checks the file every second
PROOF_POLL_MS = 500  # after which it is looked whether the connection stands, while the server's proof is waited for
REACH_SECONDS = 10.0  # to wait for the first answer of a server on another computer, which may be switched off


class ServerGone(ConnectionError):
    """The server does not answer. Its jobs are not lost: attach again and ask for them by id."""


class Client:
    """A connection to a server, for use by one thread at a time."""

    def __init__(
        self, port: int, token: str, reply_seconds: float = REPLY_SECONDS, access: Access | None = None
    ) -> None:
        """Connect to a port on 127.0.0.1, or encrypted to the address in ``access``. Sends nothing before `hello`."""
        self._host, self._port = (access.host, access.port) if access else ("127.0.0.1", port)
        self._token = token
        self._access = access
        self._reply_seconds = reply_seconds
        self._requests = 0
        self._events: deque[dict[str, Any]] = deque()
        self._context = zmq.Context()
        self._proven = False  # whether the program at the port has proven that it is the server
        self._open()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Jobs continue."""
        self._context.destroy(linger=0)

    def request(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its reply; events that arrive meanwhile are kept for `events`.

        Raises UvatarError if the server answers with an error, ServerGone if it does not answer.
        """
        self._requests += 1
        frames = [self._token.encode(), *framing.pack({"kind": kind, "request": self._requests, **fields})]
        deadline = time.monotonic() + self._reply_seconds
        self._connect(deadline)
        self._send(frames)
        while True:
            message = self._receive(min(1.0, max(deadline - time.monotonic(), 0.0)))
            if message is None:
                if time.monotonic() > deadline or not listens(self._port, self._host):
                    raise ServerGone("The Uvatar server does not respond.")
                if self._connect(deadline):  # messages on their way are lost; asking twice does no harm
                    self._send(frames)
            elif message.get("request") == self._requests or (
                message["kind"] == "error" and message.get("request") is None
            ):
                if message["kind"] == "error":
                    raise UvatarError.from_dict(message)
                return message
            elif "request" not in message:
                self._events.append(message)

    def _open(self) -> None:
        self._socket = self._context.socket(zmq.DEALER)
        # If the server has refused our keys there is no peer to send to, and ZeroMQ would wait for one for ever.
        self._socket.setsockopt(zmq.SNDTIMEO, round(1000 * self._reply_seconds))
        # Not by itself: the port may belong to another program by then. (With -1, for never, libzmq hangs at the end.)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 86_400_000)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        if self._access:
            network.encrypt_client(self._socket, self._access)
        self._socket.connect(network.endpoint(self._host, self._port))

    def _connect(self, deadline: float) -> bool:
        """Connect again if the connection was cut, and have the server prove itself. False if nothing was to do."""
        cut, asked = self._has_been_cut(), b""
        if self._proven and not cut:
            return False
        while True:
            if cut:
                self._socket.disable_monitor()
                self._socket.close(linger=0)
                self._open()
            if self._access:  # CURVE proves it
                break
            if cut or not asked:
                asked = handshake.challenge()
                self._send([asked])
            if self._socket.poll(PROOF_POLL_MS):
                handshake.check_proof(self._socket.recv_multipart(), asked, self._token, self._port)
                break
            if time.monotonic() > deadline or not listens(self._port, self._host):
                raise ServerGone("The Uvatar server does not respond.")
            cut = self._has_been_cut()
        self._proven = True
        return True

    def _send(self, frames: Sequence[bytes | memoryview]) -> None:
        try:
            self._socket.send_multipart(frames)
        except zmq.Again as error:
            raise ServerGone("The Uvatar server does not accept messages.") from error

    def hello(self) -> dict[str, Any]:
        """Ask for the server's version and capabilities. Raises UvatarError ("wrong-token", ...), ServerGone."""
        return self.request("hello", client="uvatar python client")

    @classmethod
    def connect(cls, folder: Path | str | None = None, server: Path | str | None = None) -> Client:
        """Connect to this computer's server, which is started if none runs, or to a server on another computer.

        Args:
            folder: the server's data folder, by default UVATAR_DATA or the system's usual location.
            server: the access file of a server on another computer (`uvatar serve --network`).

        Raises ServerGone if no server answers or starts, UvatarError if a folder or file cannot be used.
        """
        if server is not None:
            return reach(network.read_access(Path(server)))
        return attach(Path(folder) if folder else None)

    def reconstruct(
        self,
        photos: GivenPhoto | Iterable[GivenPhoto],
        options: Options = DEFAULT_OPTIONS,
        progress: Progress = ignore_progress,
        failed: Callable[[str, UvatarError], None] | None = None,
    ) -> Iterator[Avatar]:
        """Yield the avatars of all people in the photos as soon as each photo is done.

        Arguments are as for `uvatar.Engine.reconstruct`. Raises UvatarError for a photo that cannot be used, unless
        ``failed`` takes it, and for a job that the server refuses; ServerGone if the server does not answer.
        """
        from uvatar.files.avatar import avatars_of  # loads an image library, which the server must not

        files = photo_files(photos)
        job = self.submit(files, vars(options))
        for event in self.events(job):
            if event["kind"] == "progress":
                progress(event["stage"], event["fraction"], event["message"])
            elif event["kind"] == "photo" and event["state"] == "done":
                yield from avatars_of(self.result(job, event["photo"]))
            elif event["kind"] == "photo" and event["error"]:
                error = UvatarError.from_dict(event["error"])
                if failed is None:
                    raise error
                failed(files[event["photo"]][0], error)

    def submit(
        self, photos: Sequence[PhotoFile], options: Mapping[str, Any] | None = None, job: str | None = None
    ) -> str:
        """Submit a job, and return its id. When this returns, the server has the job on disk.

        Args:
            photos: names and bytes.
            options: the job options; those left out have their defaults.
            job: the job's id, a UUID; by default a new one.

        Raises UvatarError if the server refuses the job, ServerGone if it does not answer.
        """
        job = job or str(uuid.uuid4())
        sent: list[SentPhoto] = [{"name": photo_lists.photo_name(name), "data": data} for name, data in photos]
        self.request("reconstruct", **JobRequest(job=job, photos=sent, options=dict(options or {})))
        return job

    def status(self, job: str | None = None) -> dict[str, Any]:
        """The status of the server, or of a job, whose events are sent from now on."""
        return self.request("status", **({"job": job} if job else {}))

    def result(self, job: str, photo: int) -> dict[str, Any]:
        """The result of a finished photo (docs/result-schema.md). Raises UvatarError, ServerGone."""
        result: dict[str, Any] = self.request("result", job=job, photo=photo)["result"]
        return result

    def cancel(self, job: str) -> dict[str, Any]:
        """Cancel the job, and return its status."""
        return self.request("cancel", job=job)

    def forget(self, job: str | None = None, photo: bytes | str | None = None, everything: bool = False) -> list[str]:
        """Delete a job, all jobs that hold a photo, or all jobs, with photos and results; returns the jobs' ids.

        ``photo`` is the photo's bytes, or their sha256 in hexadecimal.
        """
        digest = hashlib.sha256(photo).hexdigest() if isinstance(photo, bytes) else photo
        jobs: list[str] = self.request("forget", job=job, photo=digest, everything=everything)["jobs"]
        return jobs

    def shutdown(self) -> int:
        """Stop the server, and return the number of photos that it leaves for the next one."""
        unfinished: int = self.request("shutdown")["unfinished"]
        return unfinished

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """Yield the job's events, up to and including the one that says it is finished.

        Events may get lost, so after a silence the status is requested, and events are made for the photos that have
        ended meanwhile. Raises ServerGone if the server does not answer.
        """
        told: set[int] = set()
        self._catch_up(job)
        while True:
            event = self._events.popleft() if self._events else self._receive(SILENCE_SECONDS)
            if event is None:
                self._catch_up(job)
            elif event.get("job") == job and "request" not in event:
                if event["kind"] == "photo":
                    if event["photo"] in told:
                        continue
                    told.add(event["photo"])
                elif event["kind"] == "finished":
                    yield from (
                        dict(photo_event(job, photo)) for photo in event["photos"] if photo["index"] not in told
                    )
                    yield event
                    return
                yield event

    def _catch_up(self, job: str) -> None:
        """Subscribe to the job, and make events from its status."""
        status: Any = self.status(job)
        for photo in status["photos"]:
            if photo["state"] != "waiting":
                self._events.append(dict(photo_event(job, photo)))
        if status["state"] in ("finished", "cancelled"):
            self._events.append(dict(finished_event(status)))

    def _has_been_cut(self) -> bool:
        """Whether the connection has been lost since the last call."""
        cut = False
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
            cut = True
        return cut

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        if not self._socket.poll(round(seconds * 1000)):
            return None
        message: dict[str, Any] = framing.unpack(self._socket.recv_multipart(copy=False))
        return message


def find(folder: Path | None = None) -> Client | None:
    """Connect to the server that uses this data folder (the usual one by default); None if none runs.

    If a server uses the folder but has no ``server.json`` yet (it is just starting, or somebody deleted the file,
    which it writes again), this waits some seconds for it.
    """
    folder = Path(folder or discovery.data_folder())
    deadline = time.monotonic() + RUNTIME_SECONDS
    while is_open(folder):
        client = _greeted(discovery.read_runtime(folder))
        if client or time.monotonic() > deadline:
            return client
        time.sleep(0.2)
    return None  # the file of a server that has died says nothing


def reach(access: Access, reply_seconds: float = REPLY_SECONDS) -> Client:
    """Connect to a server on another computer. Raises ServerGone, UvatarError."""
    if not listens(access.port, access.host):
        raise ServerGone(
            f"No server responds at {access.host}, port {access.port}. Is `uvatar serve --network` running there?"
        )
    client = Client(access.port, access.token, min(reply_seconds, REACH_SECONDS), access)
    try:
        client.hello()
    except (UvatarError, ServerGone) as error:
        client.close()
        if isinstance(error, UvatarError):
            raise
        raise ServerGone(
            f"The server at {access.host} refused the connection: its keys have changed, or it is not a Uvatar server."
        ) from error
    client._reply_seconds = reply_seconds
    return client


def _greeted(runtime: Runtime | None) -> Client | None:
    """Connect to this server; None if it does not run."""
    if runtime is None or not listens(runtime.port):
        return None
    client = Client(runtime.port, runtime.token)
    try:
        client.hello()
        return client
    except (UvatarError, ServerGone) as error:
        client.close()
        if isinstance(error, UvatarError) and error.code == Code.UNSUPPORTED_VERSION:
            message = f"A server of another version of Uvatar is running (process {runtime.pid})."
            fix = "End it, or use the same version, then try again."
            raise UvatarError(message, Code.UNSUPPORTED_VERSION, fix) from error
        return None  # another program has the port of a server that died


def attach(folder: Path | None = None, serve_arguments: Sequence[str] = (), seconds: float = START_SECONDS) -> Client:
    """Connect to the server that uses this data folder; start one, which outlives this process, if none runs.

    Args:
        folder: the data folder, by default the usual one.
        serve_arguments: arguments for ``uvatar serve`` if a server has to be started.
        seconds: how long a server may take to start.

    Raises:
        ServerGone: the server does not start; the message has the end of its log.
        UvatarError: no server could run here ("no-loopback", "data-folder").
    """
    folder = Path(folder or discovery.data_folder())
    client = find(folder)
    if client:
        return client
    check_loopback()
    usable_data_folder(folder)
    output = logs_folder(folder) / "start.log"
    process = _start(folder, output, serve_arguments)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        client = _greeted(discovery.read_runtime(folder))
        if client:
            return client
        # The process may have ended because another program started a server for this folder at the same time.
        if process.poll() not in (None, 3):
            break
        time.sleep(0.05)
    raise ServerGone(f"The Uvatar server did not start. {_tail(output)}".strip())


def _start(folder: Path, output: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a server that outlives this process and its terminal."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    with private_output(output) as log:
        return subprocess.Popen(
            module_command("uvatar", "serve", "--data", str(folder), *arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **apart,
        )


def _tail(path: Path, characters: int = 600) -> str:
    try:
        return path.read_text(errors="replace")[-characters:]
    except OSError:
        return ""

"""Floods a server with hostile messages, without and with its token, and measures how soon it answers `hello` then.

    python -m tests.service.flooding --messages 100000

For the figures of docs/reliability.md. Half of the messages are a stranger's, half begin with the right token: honest
ones changed at random as in `tests.fuzzing`, and some as large as a message may be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil
import zmq

from tests.fuzzing.messages import TOKEN, mutant, seeds
from tests.service.servers import end, photo, start
from uvatar.protocol import handshake
from uvatar.protocol.framing import LIMITS
from uvatar.service.client import Client

CONNECTIONS = 8  # of each of the two attackers
LARGE_SHARE, LARGEST_SHARE = 0.002, 0.0001
Frames = list[bytes]


def large(random: random.Random) -> Frames:
    """A message whose header is as large as it may be."""
    values = random.choice(
        (b"1," * 499_000 + b"1", b"{}," * 240_000 + b"1", b'"",' * 499_000 + b"1", b'"%s"' % (b"x" * 4_194_000))
    )
    return [b'{"magic":"uvatar","protocol":2,"body":{"kind":"hello","request":[%s]}}' % values]


def largest(random: random.Random) -> Frames:
    """A message with a frame as large as it may be."""
    header = b'{"magic":"uvatar","protocol":2,"body":{"kind":"reconstruct","photos":{"$":"bytes","length":%d}}}'
    size = LIMITS.frame_bytes
    return [header % size, bytes(size)]


def attack(port: int, token: str, count: int, seed: int) -> None:
    """Send messages; an empty token stands for a stranger, who sends anything in its place."""
    chance = random.Random(seed)
    honest = seeds()
    with zmq.Context() as context:
        sockets = [context.socket(zmq.DEALER) for _ in range(CONNECTIONS)]
        for socket in sockets:
            socket.linger, socket.sndhwm, socket.sndtimeo = 0, 4, 120_000
            socket.connect(f"tcp://127.0.0.1:{port}")
        sent = 0
        while sent < count:
            draw = chance.random()
            make: Callable[[random.Random], Frames] | None = largest if draw < LARGEST_SHARE else None
            make = large if LARGEST_SHARE <= draw < LARGE_SHARE else make
            frames = make(chance) if make else mutant(chance.choice(honest), honest, chance)
            if b'"shutdown"' in b"".join(frames[:2])[:5_000_000]:
                continue
            if not make and frames[:1] == [TOKEN.encode()]:
                frames = frames[1:]
            stranger = chance.choice(([b"x" * 43], [b""], [], [handshake.challenge()], [chance.randbytes(100)]))
            frames = ([token.encode()] if token else stranger) + frames
            socket = chance.choice(sockets)
            with suppress(zmq.Again):
                socket.send_multipart(frames or [b""])
                sent += 1
            with suppress(zmq.Again):
                while True:
                    socket.recv_multipart(zmq.NOBLOCK)
        for socket in sockets:  # until all of it has been answered, or dropped
            quiet = 0
            while quiet < 2:
                quiet = 0 if socket.poll(1000) and socket.recv_multipart() else quiet + 1
        context.destroy(linger=0)


def probe(port: int, token: str, done: Event, answers: Any) -> None:
    """Say hello again and again, and tell how many seconds each answer took."""
    times = []
    with Client(port, token) as client:
        while not done.is_set():
            begun = time.perf_counter()
            client.hello()
            times.append(time.perf_counter() - begun)
            time.sleep(0.02)
    answers.put(times)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "data")
        front = psutil.Process(server.process.pid)
        try:
            done = multiprocessing.Event()
            answers: Any = multiprocessing.Queue()
            probing = multiprocessing.Process(target=probe, args=(server.port, server.token, done, answers))
            probing.start()
            begun = time.monotonic()
            half = chosen.messages // 2
            attackers = [
                multiprocessing.Process(target=attack, args=(server.port, token, half, chosen.seed + len(token)))
                for token in ("", server.token)
            ]
            for attacker in attackers:
                attacker.start()
            most = 0
            while any(attacker.is_alive() for attacker in attackers):
                most = max(most, front.memory_info().rss)
                time.sleep(0.05)
            done.set()
            times = sorted(answers.get())
            probing.join()
            with server.client() as client:
                job = client.submit([("a.jpg", photo())])
                state = list(client.events(job))[-1]["photos"][0]["state"]
            print(
                f"{2 * half} messages in {time.monotonic() - begun:.0f} s; {len(times)} times hello: median "
                f"{1e3 * times[len(times) // 2]:.0f} ms, 99 % {1e3 * times[int(0.99 * len(times))]:.0f} ms, slowest "
                f"{times[-1]:.2f} s; memory {most / 1e6:.0f} MB at most; afterwards a photo is {state}"
            )
        finally:
            end(server)


if __name__ == "__main__":
    main()

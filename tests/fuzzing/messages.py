"""Messages that nobody honest would send, to a real front: its framing, its checks, its handlers and its journal."""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from uvatar.protocol import framing, handshake
from uvatar.protocol.given_people import GIVEN
from uvatar.service.ingest import QueueLimits
from uvatar.service.listener import Peer
from uvatar.service.model_process import PoolSettings
from uvatar.service.server import Front, Settings

from .mutation import mutated
from .watching import Watch

CORPUS = Path(__file__).parent / "corpus" / "wire"
TOKEN = "the token of the fuzzed server"
JOB = str(uuid.UUID(int=7))
Frames = list[bytes]
# Names of a request that just fit into a header, so that no reply can repeat them.
LARGE_REQUEST = [
    TOKEN.encode(),
    b'{"magic":"uvatar","protocol":2,"body":{"kind":"hello","request":"%s"}}' % (b"x" * 4_194_200),
]


def seeds() -> list[Frames]:
    """One honest request of each kind, and whatever is kept in the corpus."""
    photos = [{"name": "a.jpg", "data": b"a photo"}, {"name": "b.jpg", "data": b"another"}]
    options = {"fast": True, "texture_size": 512, "focal": 1200.5, "max_people": 3}
    given = {
        "photo": "a.jpg",
        "betas_of": "smpl",
        "center_in": "photo",
        **{name: [[0.5] * size] for name, size in GIVEN.items()},
    }
    box = [1.0, 2.0, 30.5, 40.0]
    by_hand = {
        "photo": "b.jpg",
        "chosen": [[2, *box, 172.0]],
        "pins": [[*box, 15, 3.0, 4.0]],
        "strokes": [[*box, 1, 5.0, 7.0, 8.0, 9.0, 10.0]],
    }
    bodies: list[dict[str, Any]] = [
        {"kind": "hello", "client": "fuzz"},
        {"kind": "reconstruct", "job": JOB, "photos": photos, "options": options},
        {
            "kind": "reconstruct",
            "job": str(uuid.UUID(int=8)),
            "photos": photos[:1],
            "options": {"given_people": [given, by_hand]},
        },
        {"kind": "reconstruct", "job": str(uuid.UUID(int=9)), "photos": photos, "options": {"find_people": True}},
        {"kind": "status"},
        {"kind": "status", "job": JOB},
        {"kind": "result", "job": JOB, "photo": 0},
        {"kind": "result", "job": JOB},
        {"kind": "cancel", "job": JOB},
        {"kind": "forget", "job": JOB},
        {"kind": "forget", "photo": "0" * 64},
        {"kind": "forget", "everything": True},
        {"kind": "shutdown"},
    ]
    honest = [
        [TOKEN.encode(), *(bytes(frame) for frame in framing.pack({"request": n, **body}))]
        for n, body in enumerate(bodies)
    ]
    honest += [[handshake.challenge()], LARGE_REQUEST]
    return honest + [unfiled(path.read_bytes()) for path in sorted(CORPUS.glob("*"))]


def filed(frames: Frames) -> bytes:
    """Frames as they are kept in the corpus: each with its length before it."""
    return b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)


def unfiled(data: bytes) -> Frames:
    """What `filed` made a file of."""
    frames, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        frames.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    return frames


_LARGE: Sequence[Any] = ("😀" * 1_000_000, "x" * 4_194_200, [1] * 400_000, [{}] * 400_000, {"a": [[]] * 100_000})
_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e308, "", "x", "\x00", "../../etc/passwd", "ü" * 100,
    [], {}, [[]],
    [None] * 50, {"$": "bytes", "length": 3}, {"$": "array", "dtype": "<f4", "shape": [2, 2]},
    {"$": "array", "dtype": "|O", "shape": []},
    JOB, JOB.upper(), "0" * 64,
)  # fmt: skip


def mutant(frames: Frames, all_seeds: Sequence[Frames], random: Random) -> Frames:
    """A message made of an honest or an earlier one: other values in its header, damaged bytes, frames lost, added or
    swapped.
    """
    frames = list(frames)
    kind = random.random()
    if kind < 0.5 and frames:
        try:
            header = json.loads(frames[1])
            inside = isinstance(header, dict) and isinstance(header.get("body"), dict)
            for _ in range(random.choice((1, 1, 2, 4))):
                _twist(header["body"] if inside else header, random)
            frames[1] = json.dumps(header).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError, IndexError):
            frames[-1] = mutated(frames[-1], [b"{}"], random)
    elif kind < 0.75 and frames:
        # Mostly not the token, without which nothing else is looked at.
        index = random.randrange(len(frames)) if random.random() < 0.1 else len(frames) - 1
        frames[index] = mutated(frames[index], random.choice(all_seeds) or [b"x"], random)
    elif kind < 0.8:
        frames.append(random.randbytes(random.choice((0, 1, 100))))
    elif kind < 0.85 and frames:
        del frames[random.randrange(len(frames))]
    elif kind < 0.9:
        frames += random.choice(all_seeds)
    elif kind < 0.95:
        random.shuffle(frames)
    else:
        frames = [random.randbytes(random.choice((0, 1, 30, 3000))) for _ in range(random.choice((0, 1, 2, 40)))]
    return frames


def _twist(node: Any, random: Random) -> None:
    """Change one place, anywhere in a JSON document."""
    while isinstance(node, (dict, list)) and node:
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        if isinstance(node[key], (dict, list)) and node[key] and random.random() < 0.8:
            node = node[key]
            continue
        action = random.randrange(4)
        if action == 0:
            del node[key]
        elif action == 1 and isinstance(node, dict):
            node[random.choice(("", "$", "kind", "job", "token", "x" * 50, "photos"))] = node[key]
        elif action == 2:
            nested: Any = random.choice(_VALUES if random.random() < 0.99 else _LARGE)
            for _ in range(random.choice((1, 5, 40))):
                nested = [nested]
            node[key] = nested
        else:
            node[key] = random.choice(_VALUES)
        return


@dataclass(eq=False)
class _Listener:
    """Takes the answers in place of a socket."""

    token: str = TOKEN
    port: int = 1
    answers: list[dict[str, Any]] = field(default_factory=list)

    def send(self, identity: bytes, frames: Sequence[Any]) -> bool:
        proof = bytes(frames[0]).startswith(b"uvatar 2!")
        answer = framing.unpack([bytes(frame) for frame in frames]) if not proof else {"kind": "proof", "request": None}
        self.answers.append(answer)
        return True


def fuzz(folder: Path, count: int, seed: int, keep: bool = False) -> Watch:
    """Send this many messages to a front; raises AssertionError where one is not answered as it should be.

    Args:
        folder: data folder of the front.
        keep: put messages with an outcome that the corpus does not bring about into the corpus.
    """
    random, watch = Random(seed), Watch()
    front = Front(Settings(folder, pool=PoolSettings(workers=0), queue=QueueLimits(photos=20)))
    listener = _Listener()
    everything = seeds()
    try:
        for number in range(-len(everything), count):
            frames = everything[number] if number < 0 else mutant(random.choice(everything), everything, random)
            peer = Peer(listener, bytes([random.randrange(16)]))  # type: ignore[arg-type]
            with watch.call():
                front._receive(peer, frames)
                while front._ingest.busy:
                    front._ingest.tick()
            answers, listener.answers = listener.answers, []
            outcome = check(frames, answers)
            if watch.note(outcome) and number >= 0 and len(everything) < 2000:
                everything.append(frames)
                if keep:
                    CORPUS.mkdir(parents=True, exist_ok=True)
                    (CORPUS / f"{seed}-{number}").write_bytes(filed(frames))
            if number in (count // 5, count - 1):
                watch.mark(number / count)
        assert {path.name for path in folder.iterdir()} <= {
            "journal.sqlite",
            "journal.sqlite-wal",
            "jobs",
            "server.json",
            "logs",
        }
        assert front.journal.files.jobs() == {job.id for job in front.journal.jobs(limit=-1)}
    finally:
        front._close()
    return watch


def check(frames: Frames, answers: list[dict[str, Any]]) -> str:
    """The outcome in a word.

    Every message is answered exactly once (events aside), and never with a failure of the server's.
    """
    replies = [answer for answer in answers if "request" in answer]
    assert len(replies) == 1, (frames, answers)
    reply = replies[0]
    assert reply.get("code") not in ("server-error", "data-folder"), (frames, reply)
    told = f"{reply['kind']} {reply.get('code', '')} {reply.get('message', '')}"
    return re.sub(r"[\d'\"].*|version \S.*", "", told).strip()

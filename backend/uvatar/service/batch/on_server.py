"""Runs a batch on this computer's server, beside other clients' jobs."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.batch.photos import BatchPhoto
from uvatar.service.batch.run import PhotoRunner
from uvatar.service.client import Client, ServerGone

_NAMESPACE = uuid.UUID("0e2b5a0c-2f0c-4a53-9d8b-7f2c1f6f3d11")
ATTEMPTS = 5  # to reach a server again, in a row
FULL_PAUSE = 2.0  # seconds
ITS_OWN = (Code.TOO_LARGE, Code.MALFORMED)  # refusals that are about one photo; others would come for every one


@dataclass(frozen=True)
class _Sent:
    """A photo that the server has."""

    photo: BatchPhoto
    job: str
    data: bytes


def runner_on_server(attach: Callable[[], Client], options: dict[str, Any], ahead: int) -> PhotoRunner:
    """Have the server do it, a job for each photo, so that it always has ``ahead`` of them.

    A job's id follows from photo and options: whichever side dies, the same photo sent again is not done twice.
    When a result has been taken, the server forgets it.

    Args:
        attach: connects to the server, and starts it where it has gone.
    """

    def work(photos: Iterator[tuple[BatchPhoto, bytes]]) -> Iterator[tuple[BatchPhoto, dict[str, Any] | UvatarError]]:
        sent: deque[_Sent] = deque()
        client, failures = attach(), 0
        try:
            exhausted = False
            while sent or not exhausted:
                try:
                    while not exhausted and len(sent) < ahead:
                        following = next(photos, None)
                        exhausted = following is None
                        if following:
                            photo, data = following
                            sent.append(_Sent(photo, _job_of(data, photo, options), data))
                            try:
                                _send(client, sent[-1], options)
                            except UvatarError as error:
                                if error.code not in ITS_OWN:
                                    raise
                                yield sent.pop().photo, error
                    if sent:
                        result = _wait(client, sent[0])
                        yield sent[0].photo, result
                        client.forget(job=sent.popleft().job)
                        failures = 0
                except ServerGone:
                    failures += 1
                    if failures > ATTEMPTS:
                        raise
                    client.close()
                    client = attach()
                    for one in sent:
                        _send(client, one, options)
        finally:
            client.close()

    return work


def _send(client: Client, one: _Sent, options: dict[str, Any]) -> None:
    while True:
        try:
            client.submit([(one.photo.path.name, one.data)], options, job=one.job)
            return
        except UvatarError as error:
            if error.code != Code.QUEUE_FULL:
                raise
            time.sleep(FULL_PAUSE)


def _wait(client: Client, one: _Sent) -> dict[str, Any] | UvatarError:
    """The photo's result, or why there is none."""
    end = list(client.events(one.job))[-1]["photos"][0]
    if end["state"] != "done":
        return UvatarError.from_dict(end["error"] or {"code": Code.CANCELLED, "message": "It was cancelled."})
    try:
        return client.result(one.job, 0)
    except UvatarError as error:
        return error


def _job_of(data: bytes, photo: BatchPhoto, options: dict[str, Any]) -> str:
    facts = [photo.key, hashlib.sha256(data).hexdigest(), options]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(facts, sort_keys=True)))

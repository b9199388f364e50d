"""Runs a batch on a server, alongside other clients' jobs."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.batch.photos import BatchPhoto
from uvatar.service.batch.record import PhotoOutcome
from uvatar.service.batch.run import PhotoRunner
from uvatar.service.client import Client, ServerGone

_NAMESPACE = uuid.UUID("0e2b5a0c-2f0c-4a53-9d8b-7f2c1f6f3d11")
ATTEMPTS = 5  # consecutive attempts to reach a server again; how chosen is not recorded
FULL_PAUSE = 2.0  # seconds to wait when the server's queue is full: about as long as a photo takes
ITS_OWN = (Code.TOO_LARGE, Code.MALFORMED)  # refusals that concern one photo; others would follow for every photo


@dataclass(frozen=True)
class _Sent:
    """A photo that was sent to the server."""

    photo: BatchPhoto
    job: str
    data: bytes


def runner_on_server(attach: Callable[[], Client], options: dict[str, Any], ahead: int) -> PhotoRunner:
    """Make a runner that works on a server, with one job for each photo.

    A job's id follows from the photo and the options: whichever side dies, a photo that is sent again is not done
    twice. Once a result has been written, its job is deleted from the server; so is that of the photo which an earlier
    run had just recorded when it was killed.

    Args:
        attach: connects to the server, and starts one if none runs.
        options: the job options.
        ahead: how many photos the server always has.
    """

    def work(
        photos: Iterator[tuple[BatchPhoto, bytes]], last: PhotoOutcome | None
    ) -> Iterator[tuple[BatchPhoto, dict[str, Any] | UvatarError]]:
        sent: deque[_Sent] = deque()
        client, failures = attach(), 0
        try:
            if last and last.digest:
                with suppress(UvatarError, ServerGone):  # as a rule there is no such job any more
                    client.forget(job=_job_of(last.key, last.digest, options))
            exhausted = False
            while sent or not exhausted:
                try:
                    while not exhausted and len(sent) < ahead:
                        following = next(photos, None)
                        exhausted = following is None
                        if following:
                            photo, data = following
                            digest = hashlib.sha256(data).hexdigest()
                            sent.append(_Sent(photo, _job_of(photo.key, digest, options), data))
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
    """Wait for the photo's result, or the reason why there is none."""
    end = list(client.events(one.job))[-1]["photos"][0]
    if end["state"] != "done":
        return UvatarError.from_dict(end["error"] or {"code": Code.CANCELLED, "message": "It was cancelled."})
    try:
        return client.result(one.job, 0)
    except UvatarError as error:
        return error


def _job_of(key: str, digest: str, options: dict[str, Any]) -> str:
    return str(uuid.uuid5(_NAMESPACE, json.dumps([key, digest, options], sort_keys=True)))

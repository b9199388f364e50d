"""Subscriptions: which clients receive a job's events."""

from __future__ import annotations

from uvatar.protocol.messages import Event
from uvatar.service.job_records import JobRecord
from uvatar.service.listener import Peer


class Subscriptions:
    """The clients that follow each job."""

    def __init__(self) -> None:
        self._peers: dict[str, set[Peer]] = {}

    def add(self, job: JobRecord, peer: Peer) -> None:
        """Subscribe a client to a job's events, unless the job is finished."""
        if job.active:
            self._peers.setdefault(job.id, set()).add(peer)

    def publish(self, event: Event) -> None:
        """Send an event to the job's subscribers; clients that cannot be reached are dropped."""
        peers = self._peers.get(event["job"], set())
        for peer in list(peers):
            if not peer.send(event):
                peers.discard(peer)
        if event["kind"] == "finished":
            self._peers.pop(event["job"], None)

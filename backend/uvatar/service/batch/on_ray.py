"""Runs a batch on a Ray cluster: the same pipeline, one Ray task for each photo.

Requires the extra ``uvatar[ray]``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from uvatar.protocol import discovery, framing, photo_lists
from uvatar.protocol.errors import Code, UvatarError
from uvatar.service.batch.photos import BatchPhoto
from uvatar.service.batch.record import PhotoOutcome
from uvatar.service.batch.run import PhotoRunner

RETRIES = 3  # for a photo whose Ray worker died, as Ray itself does for tasks
LOCAL = "local"


def runner_on_ray(
    address: str, options: dict[str, Any], pipeline: str, threads: int, out: Path, device: str | None = None
) -> PhotoRunner:
    """Make a runner that works on a Ray cluster.

    Args:
        address: the cluster's address, or "local" for one that is started on this computer and ends with the batch.
        options: the job options.
        pipeline: "module:attribute" of the pipeline's class.
        threads: CPU threads of each task.
        out: the folder where Ray may put what does not fit into memory; no photo's data is written elsewhere.
        device: what the networks run on, as in `uvatar.engine.engine.Engine.load`.

    Raises:
        UvatarError: Ray is not installed ("no-ray").
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray reports usage to its makers
    try:
        import ray
    except ImportError as error:
        raise UvatarError(
            "Ray is not installed.", Code.NO_RAY, 'Install it with: python -m pip install "uvatar[ray]"'
        ) from error

    def work(
        photos: Iterator[tuple[BatchPhoto, bytes]], _last: PhotoOutcome | None
    ) -> Iterator[tuple[BatchPhoto, dict[str, Any] | UvatarError]]:
        if address == LOCAL:
            spill = out / ".ray"
            spill.mkdir(parents=True, exist_ok=True)
            ray.init(
                address=LOCAL,
                include_dashboard=False,
                log_to_driver=False,
                object_spilling_directory=str(spill.resolve()),
            )
        else:
            ray.init(address=address, log_to_driver=False)
        task = ray.remote(num_cpus=threads, max_retries=RETRIES)(reconstruct_one)
        ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        running: dict[Any, BatchPhoto] = {}
        try:
            exhausted = False
            while running or not exhausted:
                while not exhausted and len(running) < ahead:
                    following = next(photos, None)
                    exhausted = following is None
                    if following:
                        photo, data = following
                        name = photo_lists.photo_name(photo.path.name)
                        running[task.remote(name, data, options, pipeline, threads, device)] = photo
                done, _ = ray.wait(list(running), num_returns=1) if running else ([], [])
                for reference in done:
                    yield running.pop(reference), _taken(ray, reference)
        finally:
            ray.shutdown()

    return work


def _taken(ray: Any, reference: Any) -> dict[str, Any] | UvatarError:
    """A task's result, or the reason why there is none."""
    try:
        answer = framing.unpack(ray.get(reference))
    except (ray.exceptions.RayError, UvatarError) as error:
        message = f"The Ray worker died {RETRIES + 1} times or could not be started: {str(error)[:300]}"
        return UvatarError(message, Code.MODEL_CRASHED, "See Ray's logs, then run the batch again.")
    return UvatarError.from_dict(answer["error"]) if answer.get("error") else answer["result"]


def reconstruct_one(
    name: str, data: bytes, options: dict[str, Any], pipeline: str, threads: int, device: str | None = None
) -> list[bytes]:
    """The Ray task: reconstruct one photo; the pipeline stays loaded for the worker process's next task.

    Returns:
        the result, or the error, as frames of `framing.pack`.
    """
    from uvatar.service.worker import photo_error

    results: list[dict[str, Any]] = []
    answer: dict[str, Any]
    try:
        _loaded(pipeline, threads, device).reconstruct(
            [(name, data)], options, lambda *_: None, lambda _, result: results.append(result)
        )
        [result] = results
        failed = bool(result.get("errors")) and not result.get("people")
        answer = {"error": result["errors"][0]} if failed else {"result": result}
        return [bytes(frame) for frame in framing.pack(answer)]
    except Exception as error:
        return [bytes(frame) for frame in framing.pack({"error": photo_error(error).as_dict()})]


@lru_cache(maxsize=1)
def _loaded(pipeline: str, threads: int, device: str | None) -> Any:
    from uvatar.service.worker import load_pipeline

    return load_pipeline(pipeline, threads, discovery.data_folder(), device)

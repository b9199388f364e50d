"""How fast the body is posed, in NumPy and in PyTorch, beside smplx in the same run.

    python -m benchmarks.body
    python -m benchmarks.body --batches 1        # one body at a time

Run it after a change of `uvatar.body`. It prints milliseconds (the median of the repeats) and the ratio ours / smplx,
for posing alone and with gradients. "ours" is the body in NumPy where nothing is differentiated, otherwise the one in
PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.csv_results import write_csv
from uvatar.body import BodyModel, as_smpl_dict, load_open_body
from uvatar.body.torch_body import TorchBody


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of ``run`` over ``repeats`` runs, after two warm-up runs, milliseconds."""
    run()
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def gradients(vertices: torch.Tensor) -> None:
    """Backpropagate a simple loss of the vertices."""
    vertices.square().mean().backward()


def smplx_model(body: BodyModel, batch: int) -> torch.nn.Module | None:
    """The same body in smplx, or None if smplx is not installed."""
    try:
        import smplx
        from smplx.utils import Struct
    except ImportError:
        return None
    model: torch.nn.Module | None = smplx.SMPL("", data_struct=Struct(**as_smpl_dict(body.data)), batch_size=batch)
    return model


def main() -> None:
    """Measure, print the figures and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 10, 64], help="numbers of bodies (default: 1 10 64)"
    )
    batches = parser.parse_args().batches
    rows: list[dict[str, object]] = []
    torch.manual_seed(0)
    body = load_open_body()
    torch_body = TorchBody(body.data)
    print(f"{torch.get_num_threads()} threads; open body, {len(body.data.v_template)} vertices")
    for batch in batches:
        repeats = max(7, 50 // (1 + batch // 8))
        betas, pose, transl = (torch.randn(batch, *shape) * 0.3 for shape in ((10,), (24, 3), (3,)))
        inputs = [x.requires_grad_() for x in (betas, pose, transl)]
        other = smplx_model(body, batch)
        arrays = [x.detach().numpy() for x in inputs]

        def in_torch(inputs: list[torch.Tensor] = inputs) -> torch.Tensor:
            vertices: torch.Tensor = torch_body(*inputs).vertices
            return vertices

        def theirs(other: torch.nn.Module | None = other, inputs: list[torch.Tensor] = inputs) -> torch.Tensor:
            betas, pose, transl = inputs
            assert other is not None
            posed = other(betas=betas, global_orient=pose[:, :1], body_pose=pose[:, 1:], transl=transl)
            vertices: torch.Tensor = posed.vertices
            return vertices

        def without_gradients(model: Callable[[], torch.Tensor]) -> None:
            with torch.no_grad():
                model()

        def with_gradients(model: Callable[[], torch.Tensor]) -> None:
            gradients(model())

        ways: tuple[tuple[str, Callable[[], object], Callable[[Callable[[], torch.Tensor]], None]], ...] = (
            ("forward", partial(body, *arrays), without_gradients),
            ("forward, PyTorch", partial(without_gradients, in_torch), without_gradients),
            ("forward + backward, PyTorch", partial(with_gradients, in_torch), with_gradients),
        )
        for label, ours, way in ways:
            own = milliseconds(ours, repeats)
            row: dict[str, object] = {"batch": batch, "what": label, "ours, ms": own}
            line = f"B={batch:<3d} {label:28s} ours {own:8.2f} ms"
            if other is not None:
                reference = milliseconds(lambda way=way, theirs=theirs: way(theirs), repeats)  # type: ignore[misc]
                row |= {"smplx, ms": reference, "ours / smplx": own / reference}
                line += f"   smplx {reference:8.2f} ms   ratio {own / reference:.2f}"
            print(line)
            rows.append(row)
        points = milliseconds(partial(body.landmarks, *arrays), repeats)
        print(f"B={batch:<3d} {'33 landmarks':28s} ours {points:8.2f} ms")
        rows.append({"batch": batch, "what": "33 landmarks", "ours, ms": points})
    notes = [f"{torch.get_num_threads()} threads; medians; the open body, {len(body.data.v_template)} vertices"]
    write_csv("body", rows, notes)


if __name__ == "__main__":
    main()

"""Export the networks that ship from PyTorch to ONNX (weights/*.onnx). `make onnx` calls it.

You need it after training a network or changing its layers.

    python tools/export_onnx.py                       # all of them
    python tools/export_onnx.py texture_predictor     # one of them

An .onnx file has a network's operations only. Its weights are read from the safetensors file beside it, where they are
stored in half precision, and converted to single precision when the network is opened; so weights are shipped once, for
ONNX Runtime and for PyTorch. The metadata of each file names the weights that it was exported from, with their sha256;
its own sha256 is written into the page beside it. `tests/runtime/test_exports.py` compares both runtimes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn

from uvatar.fitting.lifter import FEATURES
from uvatar.fitting.lifter_network import DeployedLifter, load_lifter_network
from uvatar.mesh_predictor.maps import INPUT_SIDE
from uvatar.mesh_predictor.networks.deployed import DeployedMeshPredictor, load_light
from uvatar.parsing.inputs import GRID, PLACES
from uvatar.parsing.inputs import SIDE as PARSER_SIDE
from uvatar.parsing.network import load_parser_network
from uvatar.runtime.weights import WEIGHTS_FILE, WEIGHTS_SHA256, sha256_of, weights_folder
from uvatar.texture_predictor.config import Config
from uvatar.texture_predictor.networks.checkpoint import load_checkpoint
from uvatar.texture_predictor.networks.deployed import DeployedTextureNetwork
from uvatar.texture_predictor.noise import random_inputs

OPSET = 18
_HALF, _SINGLE = "F16", "F32"
_TYPES = {_HALF: (TensorProto.FLOAT16, np.float16), _SINGLE: (TensorProto.FLOAT, np.float32)}
Exported = tuple[nn.Module, dict[str, Tensor], dict[str, str]]


def mesh_predictor(weights: Path) -> Exported:
    """The light network, which looks in two sizes, one photo at a time."""
    image = torch.rand(1, 3, INPUT_SIDE, INPUT_SIDE)
    return DeployedMeshPredictor(load_light(weights), in_sizes=True), {"image": image}, {}


def texture_predictor(weights: Path) -> Exported:
    """The network with its random numbers as inputs, one person at a time."""
    network = load_checkpoint(weights)
    metadata = {"config": json.dumps(network.config.as_dict())}
    return DeployedTextureNetwork(network), texture_inputs(network.config), metadata


def texture_inputs(config: Config, seed: int = 0) -> dict[str, Tensor]:
    """Made-up inputs of the Texture Predictor."""
    rng = torch.Generator().manual_seed(seed)
    size, side = config.resolution, config.photo_side
    inputs = {
        "photo": torch.rand(1, 3, side, side, generator=rng),
        "pose": torch.linalg.qr(torch.randn(1, 24, 3, 3, generator=rng)).Q,
        "betas": torch.randn(1, 10, generator=rng),
        "camera": torch.rand(1, 3, generator=rng),
        **{name: torch.from_numpy(values) for name, values in random_inputs(config, seed).items()},
        "truncation": torch.full((1,), 0.7),
    }
    if config.spatial:
        channels = {"geometry": 7, "partial": 4, "mirrored": 4, "completed": 3}
        channels |= {"materials": config.materials} if config.materials else {}
        inputs |= {name: torch.rand(1, count, size, size, generator=rng) for name, count in channels.items()}
    return inputs


def pose_lifter(weights: Path) -> Exported:
    """The network for one person and its mirror image."""
    return DeployedLifter(load_lifter_network(weights)), {"features": torch.randn(2, FEATURES)}, {}


def parser(weights: Path) -> Exported:
    """The parser for one person."""
    sizes = {"image": (3, PARSER_SIDE), "mask": (1, PARSER_SIDE), "places": (PLACES, GRID)}
    inputs = {name: torch.rand(1, channels, side, side) for name, (channels, side) in sizes.items()}
    return load_parser_network(weights), inputs, {}


NETWORKS: dict[str, Callable[[Path], Exported]] = {
    "mesh_predictor": mesh_predictor,
    "texture_predictor": texture_predictor,
    "pose_lifter": pose_lifter,
    "parser": parser,
}


def export(module: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    """Write a module with its weights inside, in the shapes of ``inputs``, to an .onnx file."""
    module = module.eval().requires_grad_(False)
    with torch.no_grad():
        outputs: dict[str, Tensor] = module(**inputs)
    program = torch.onnx.export(
        module,
        kwargs=inputs,
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET,
        dynamo=True,
        optimize=False,  # it would lay batch norms into convolutions, whose weights would be others than those stored
        verbose=False,
    )
    assert program is not None
    optimizer.fold_constants(program.model)
    optimizer.remove_unused_nodes(program.model)
    program.save(path)


def share_weights(model: onnx.ModelProto, weights: Path) -> None:
    """Let a model's weights be read from a safetensors file: those that are, number for number, one of its tensors."""
    stored, rest = _stored(weights), []
    casts = []
    for tensor in model.graph.initializer:
        place = _place(numpy_helper.to_array(tensor), stored) if tensor.data_type == TensorProto.FLOAT else None
        if place is None:
            rest.append(tensor)
            continue
        kind, offset, length = place
        half = kind == _HALF
        outside = TensorProto(
            name=f"{tensor.name}_half" if half else tensor.name,
            data_type=_TYPES[kind][0],
            dims=tensor.dims,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", weights.name), ("offset", offset), ("length", length)):
            outside.external_data.add(key=key, value=str(value))
        rest.append(outside)
        if half:
            casts.append(helper.make_node("Cast", [outside.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    for field, items in ((model.graph.initializer, rest), (model.graph.node, nodes)):
        del field[:]
        field.extend(items)


def _stored(weights: Path) -> dict[tuple[str, bytes], tuple[str, int, int]]:
    """Type, offset and length in bytes of every tensor of a safetensors file, by type and hash of its numbers."""
    content = weights.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entries = {}
    for name, entry in json.loads(content[8:start]).items():
        if name == "__metadata__" or entry["dtype"] not in _TYPES:
            continue
        first, last = (start + offset for offset in entry["data_offsets"])
        numbers = content[first:last]
        entries[entry["dtype"], _hash(entry["shape"], numbers)] = (entry["dtype"], first, last - first)
    return entries


def _place(values: Any, stored: dict[tuple[str, bytes], tuple[str, int, int]]) -> tuple[str, int, int] | None:
    for kind, (_, dtype) in _TYPES.items():
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(values, dtype)
        if (numbers == values).all() and (place := stored.get((kind, _hash(values.shape, numbers.tobytes())))):
            return place
    return None


def _hash(shape: Iterable[int], numbers: bytes) -> bytes:
    return hashlib.sha256(str(tuple(shape)).encode() + numbers).digest()


def slim(model: onnx.ModelProto) -> None:
    """Leave out what tells where in PyTorch's code each operation came from."""
    for item in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.ClearField("metadata_props")


def export_shipped(name: str, folder: Path) -> Path:
    """Write one network's .onnx file beside its weights in ``folder``."""
    weights = folder / f"{name}.safetensors"
    module, inputs, metadata = NETWORKS[name](weights)
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole.onnx"
        export(module, inputs, whole)
        model = onnx.load(whole)
    slim(model)
    share_weights(model, weights)
    for key, value in {**metadata, WEIGHTS_FILE: weights.name, WEIGHTS_SHA256: sha256_of(weights)}.items():
        model.metadata_props.add(key=key, value=value)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def record(path: Path) -> None:
    """Write an exported file's sha256 into the page beside it, where that has a line for it."""
    page = path.with_suffix(".md")
    if page.is_file():
        line = re.compile(rf"(`{re.escape(path.name)}`, sha256 `)[0-9a-f]{{64}}")
        digest = sha256_of(path)
        page.write_text(line.sub(rf"\g<1>{digest}", page.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", choices=[*NETWORKS, []], metavar="NAME", help=f"{', '.join(NETWORKS)}; all by default"
    )
    parser.add_argument("--weights", type=Path, default=None, help="folder of the weights, by default the shipped ones")
    chosen = parser.parse_args(arguments)
    for name in chosen.names or NETWORKS:
        path = export_shipped(name, chosen.weights or weights_folder())
        record(path)
        print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

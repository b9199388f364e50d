"""Parsers: plug-ins, Google's model from the models folder, and what they are given."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.parsing import ParseClass, Parsing
from uvatar.data.person import Person
from uvatar.data.photo import Photo
from uvatar.data.view import View
from uvatar.engine.engine import Engine
from uvatar.engine.parsing import parsed_people, with_parsing
from uvatar.parsing import parsers
from uvatar.parsing.lookup import probability_at
from uvatar.parsing.parsers import ParserError, PersonPicture, find_parser, parsed
from uvatar.parsing.selfie_multiclass import CLASSES, FILE, SelfieMulticlass, download
from uvatar.protocol.options import DEFAULT_OPTIONS, Options

SIDE = 8


def model(weights: NDArray[np.float32], side: int = SIDE) -> bytes:
    """A .tflite file of one 1x1 convolution with ``weights`` (classes, 3): logits of every pixel."""
    classes = len(weights)
    made = schema.ModelT()
    made.version, made.description = 3, "test"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    made.operatorCodes = [code]
    contents = (b"", weights.astype("<f4").tobytes(), np.zeros(classes, "<f4").tobytes())
    made.buffers = []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8) if content else None
        made.buffers.append(buffer)
    graph = schema.SubGraphT()
    graph.tensors = []
    shapes = ((1, side, side, 3), (classes, 1, 1, 3), (classes,), (1, side, side, classes))
    for shape, buffer_number in zip(shapes, (0, 1, 2, 0), strict=True):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), schema.TensorType.FLOAT32, buffer_number
        tensor.name = f"t{len(graph.tensors)}"
        graph.tensors.append(tensor)
    step = schema.OperatorT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0, 1, 2], [3]
    step.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    step.builtinOptions = schema.Conv2DOptionsT()
    step.builtinOptions.strideH = step.builtinOptions.strideW = 1
    step.builtinOptions.dilationHFactor = step.builtinOptions.dilationWFactor = 1
    graph.operators, graph.inputs, graph.outputs = [step], [0], [3]
    made.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def red_is_hair() -> bytes:
    """A model that takes red for hair, green for skin of the face and blue for clothes."""
    weights = np.zeros((len(CLASSES), 3), np.float32)
    for channel, kind in enumerate((ParseClass.HAIR, ParseClass.FACE, ParseClass.CLOTHES)):
        weights[CLASSES.index(kind), channel] = 20
    return model(weights)


def person_in(window: tuple[int, int, int, int]) -> Person:
    x0, y0, x1, y1 = window
    mask = np.full((y1 - y0, x1 - x0), 255, np.uint8)
    landmarks = np.tile(np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0], np.float32), (33, 1))
    return Person(
        np.array(window, np.float32), 1.0, landmarks, np.zeros((33, 3), np.float32), window, mask, np.zeros_like(mask)
    )


def test_the_model_in_the_models_folder_is_used_and_its_hash_recorded(tmp_path: Path, red_is_hair: bytes) -> None:
    (tmp_path / FILE).write_bytes(red_is_hair)
    parser = find_parser(tmp_path, lambda: None)
    assert isinstance(parser, SelfieMulticlass)
    recorded = (tmp_path / f"{FILE}.sha256").read_text().strip()
    assert recorded == hashlib.sha256(red_is_hair).hexdigest()
    (tmp_path / FILE).write_bytes(model(np.ones((len(CLASSES), 3), np.float32)))
    with pytest.raises(ParserError, match="used first"):
        find_parser(tmp_path, lambda: None)


def test_classes_reach_the_photos_pixels(tmp_path: Path, red_is_hair: bytes) -> None:
    """The upper half of the person is red, the lower one blue, beside the edge of the photo."""
    (tmp_path / FILE).write_bytes(red_is_hair)
    parser = find_parser(tmp_path, lambda: None)
    assert parser is not None
    pixels = np.zeros((200, 100, 3), np.uint8)
    pixels[:100, :, 0], pixels[100:, :, 2] = 255, 255
    parsing = parsed(parser, Photo(pixels, None, "0" * 64), person_in((0, 20, 60, 180)))
    places = np.array([[30.0, 40.0], [30.0, 160.0], [30.0, 1000.0]])
    np.testing.assert_allclose(probability_at(parsing, places, (ParseClass.HAIR,)), [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(probability_at(parsing, places, (ParseClass.CLOTHES,)), [0, 1, 0], atol=1e-3)
    assert probability_at(parsing, places[:1], tuple(ParseClass)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("content", [b"no model", model(np.zeros((4, 3), np.float32))])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ParserError, match="cannot be used"):
        find_parser(tmp_path, lambda: None)


@pytest.fixture
def served(red_is_hair: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = red_is_hair if self.path == "/model" else b"<html>not here</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_download(tmp_path: Path, served: str, red_is_hair: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be loaded"):
        download(tmp_path / "models", f"{served}/moved")
    assert not (tmp_path / "models").exists()
    path = download(tmp_path / "models", f"{served}/model")
    assert path.read_bytes() == red_is_hair
    assert sorted(one.name for one in path.parent.iterdir()) == [FILE, f"{FILE}.sha256"]
    (path.parent / f"{FILE}.sha256").write_text("0" * 64)
    with pytest.raises(ValueError, match="used first"):
        download(tmp_path / "models", f"{served}/model")


class Plug:
    classes = (ParseClass.BACKGROUND, ParseClass.HAT)

    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        assert person.pixels.shape[:2] == person.mask.shape
        inside = (person.mask > 127).astype(np.float32)
        return np.stack([1 - inside, inside], -1)


class Broken(Plug):
    def parse(self, person: PersonPicture) -> NDArray[np.float32]:
        raise RuntimeError("no memory")


def test_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"{__name__}:{name}", parsers.GROUP) for name in ("Plug", "Broken", "Parsing")]
    monkeypatch.setattr(parsers, "entry_points", lambda group: points)
    assert find_parser(tmp_path, lambda: None) is None
    monkeypatch.setenv(parsers.CHOICE, "Plug")
    photo, person = Photo(np.zeros((90, 60, 3), np.uint8), None, "0" * 64), person_in((10, 20, 50, 80))
    parser = find_parser(tmp_path, lambda: None)
    assert parser is not None
    parsing = parsed(parser, photo, person)
    hat = probability_at(parsing, np.array([[30.0, 50.0], [4.0, 50.0]]), (ParseClass.HAT,))
    np.testing.assert_allclose(hat, [1, 0], atol=1e-6)
    monkeypatch.setenv(parsers.CHOICE, "Broken")
    broken = find_parser(tmp_path, lambda: None)
    assert broken is not None
    with pytest.raises(ParserError, match="no memory"):
        parsed(broken, photo, person)
    for name, words in (("Parsing", "cannot be loaded"), ("absent", "no parser 'absent'")):
        monkeypatch.setenv(parsers.CHOICE, name)
        with pytest.raises(ParserError, match=words):
            find_parser(tmp_path, lambda: None)
    monkeypatch.setenv(parsers.CHOICE, parsers.NONE)
    (tmp_path / FILE).write_bytes(b"not read")
    assert find_parser(tmp_path, lambda: None) is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.full((4, 4, 2), 3, np.float32), "did not return probabilities"),
        (np.full((4, 4, 2), np.nan, np.float32), "did not return probabilities"),
        (np.dstack([np.full((4, 4), -1), np.ones((4, 4))]), "did not return probabilities"),
        (np.zeros((0, 4, 2)), "of shape"),
        (np.zeros((4, 4, 3)), "of shape"),
        (np.zeros((1, 5000, 2)), "of shape"),
        (np.zeros((4, 4)), "of shape"),
        ("cloth", "failed"),
    ],
)
def test_unusable_answers_are_refused(answer: object, words: str) -> None:
    parser = SimpleNamespace(classes=Plug.classes, parse=lambda person: answer)
    with pytest.raises(ParserError, match=words):
        parsed(
            cast(parsers.Parser, parser),
            Photo(np.zeros((90, 60, 3), np.uint8), None, "0" * 64),
            person_in((10, 20, 50, 80)),
        )


def test_a_large_answer_is_kept_small() -> None:
    answer = np.tile(np.array([0.25, 0.75], np.float32), (600, 1200, 1))
    parser = SimpleNamespace(classes=Plug.classes, parse=lambda person: answer)
    photo = Photo(np.zeros((90, 60, 3), np.uint8), None, "0" * 64)
    parsing = parsed(cast(parsers.Parser, parser), photo, person_in((10, 20, 50, 80)))
    assert parsing.probabilities.shape[:2] == (parsers.STORED // 2, parsers.STORED)
    assert probability_at(parsing, np.array([[30.0, 50.0]]), (ParseClass.HAT,)) == pytest.approx(0.75, abs=1e-4)


@pytest.mark.parametrize("size", [(300, 200), (2100, 1400)])
def test_a_picture_shows_the_person_and_grey_beyond_the_photo(size: tuple[int, int]) -> None:
    """The person stands at the photo's left edge; a small photo is given as it is, a large one is reduced."""
    height, width = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 4] = 255  # the left half of the person's window
    person, given = person_in((0, height // 10, width // 2, height - height // 10)), []

    class Watching(Plug):
        def parse(self, person: PersonPicture) -> NDArray[np.float32]:
            given.append(person)
            return super().parse(person)

    parsing = parsed(Watching(), Photo(pixels, None, "0" * 64), person)
    [picture] = given
    side = min(parsers.LARGEST, round(0.8 * height * (1 + 2 * parsers.MARGIN)))
    assert picture.pixels.shape == (side, side, 3) and picture.mask.shape == (side, side)
    scale, (left, top) = side / (parsing.window[2] - parsing.window[0]), parsing.window[:2]
    for x, colour, inside in ((-0.05, 114, 0), (0.05, 255, 255), (0.2, 255, 255), (0.3, 0, 255), (0.45, 0, 255)):
        column, row = (int(scale * (at - begin)) for at, begin in ((x * width, left), (0.5 * height, top)))
        assert picture.pixels[row, column].tolist() == [colour] * 3 and picture.mask[row, column] == inside
    edge = scale * (width / 4 - left)
    at = int(scale * (0.5 * height - top))
    found = float(
        np.interp(
            -127.5,
            *(
                -picture.pixels[at, int(edge) - 3 : int(edge) + 4, 0].astype(float),
                np.arange(int(edge) - 3, int(edge) + 4) + 0.5,
            ),
        )
    )
    assert found == pytest.approx(edge, abs=0.3)
    np.testing.assert_allclose(picture.landmarks[0, :2], [scale * (width / 4 - left), at], atol=1)


def test_a_parser_that_fails_leaves_a_note_and_the_person_as_they_were() -> None:
    photo, person = Photo(np.zeros((90, 60, 3), np.uint8), None, "0" * 64), person_in((10, 20, 50, 80))
    parameters = BodyParameters(*(np.zeros(size, np.float32) for size in (10, 3, (23, 3), 3)))
    view = View(photo, person, Camera.for_photo(60, 90, None), cast(Fit, SimpleNamespace(body=parameters)))

    def seen_by(parser: object, options: Options = DEFAULT_OPTIONS) -> tuple[View, tuple[str, ...]]:
        return with_parsing(view, cast(Engine, SimpleNamespace(parser=parser)), options)

    failed, notes = seen_by(Broken())
    assert failed is view and len(notes) == 1 and "no memory" in notes[0] and "colours alone" in notes[0]
    assert seen_by(None) == (view, ()) and seen_by(Plug(), replace(DEFAULT_OPTIONS, fast=True)) == (view, ())
    done, notes = seen_by(Plug())
    assert notes == () and done.person.parsing is not None
    assert probability_at(done.person.parsing, np.array([[30.0, 50.0]]), (ParseClass.HAT,)) == pytest.approx(1)

    def parsed_by(parser: object, options: Options = DEFAULT_OPTIONS) -> Person:
        [found] = parsed_people([person], photo, cast(Engine, SimpleNamespace(parser=parser, threads=1)), options)
        return found

    assert parsed_by(Broken()) is person and parsed_by(None) is person
    assert parsed_by(Plug(), replace(DEFAULT_OPTIONS, fast=True)) is person
    early = replace(view, person=parsed_by(Plug()))
    assert early.person.parsing is not None
    assert with_parsing(early, cast(Engine, SimpleNamespace(parser=Broken())), DEFAULT_OPTIONS) == (early, ())


def test_lookup_is_bilinear_at_pixel_centres() -> None:
    values = np.zeros((2, 4, len(ParseClass)), np.float32)
    values[..., ParseClass.SKIN] = [[0, 1, 2, 3], [4, 5, 6, 7]]
    parsing = Parsing((10.0, 20.0, 18.0, 24.0), values)
    places = np.array([[11.0, 21.0], [12.0, 22.0], [17.9, 23.9], [9.9, 21.0]])
    np.testing.assert_allclose(probability_at(parsing, places, (ParseClass.SKIN,)), [0, 2.5, 7, 0], atol=1e-6)

"""Framing: what is packed comes out again, and nothing else comes in."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.service.servers import python
from uvatar.protocol import discovery, framing, message_files, photo_lists
from uvatar.protocol.discovery import Runtime
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.framing import DTYPES, PROTOCOL_VERSION, Limits, pack, unpack
from uvatar.protocol.given_people import GIVEN
from uvatar.protocol.options import checked_options
from uvatar.protocol.photo_lists import JOB_PHOTOS

NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in DTYPES]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
KEYS = st.text(max_size=8).filter(lambda key: not key.startswith("$"))
MESSAGES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20), st.binary(max_size=40), ARRAYS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)

patiently = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def header(body: Any, **changes: Any) -> bytes:
    return json.dumps({"magic": "uvatar", "protocol": PROTOCOL_VERSION, "body": body, **changes}).encode()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@patiently
@given(MESSAGES)
def test_a_message_survives_the_wire(message: Any) -> None:
    assert same(message, unpack([bytes(frame) for frame in pack(message)]))


def test_what_numpy_and_tuples_become() -> None:
    big_endian = np.arange(6, dtype=">f4").reshape(2, 3)
    message = {"a": np.float32(0.5), "b": (1, np.int64(2)), "c": big_endian[:, ::-1], "d": np.bool_(True)}
    out = unpack(pack(message))
    assert out["a"] == 0.5 and out["b"] == [1, 2] and out["d"] is True
    assert out["c"].dtype == "<f4" and np.array_equal(out["c"], [[2, 1, 0], [5, 4, 3]])
    assert not out["c"].flags.writeable


def test_arrays_are_not_copied_into_the_header() -> None:
    frames = pack({"mesh": np.zeros((1000, 3), np.float32)})
    assert len(frames[0]) < 200 and memoryview(frames[1]).nbytes == 12_000


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"metrics": {"iou": float("nan")}}, "message.metrics.iou"),
        ([1, [float("inf")]], r"message\[1\]\[0\]"),
        ({"path": Path("x")}, "message.path"),
        ({"names": np.array(["a"])}, "message.names"),
        ({"objects": np.array([None])}, "message.objects"),
        ({1: 2}, "key 1"),
        ({"$": 2}, r"key '\$'"),
        ({"n": 2**63}, "message.n"),
        ({"name": "\udc80"}, "message.name"),
    ],
)
def test_what_cannot_be_sent_is_named(message: Any, place: str) -> None:
    with pytest.raises(UvatarError, match=place):
        pack(message)


HOSTILE = {
    "nothing": [],
    "not JSON": [b"\x80\x04cposix\nsystem\n"],
    "not UTF-8": [b"\xff\xfe{}"],
    "no header": [b"[]"],
    "another program's": [header(1, magic="other")],
    "header with extras": [header(1, extra=1)],
    "NaN": [header(1).replace(b"1}", b"NaN}")],
    "infinity by a large exponent": [header(1).replace(b'"body": 1', b'"body": 1e999')],
    "whole number of 100 digits": [header(10**100)],
    "whole number of 10,000 digits": [header(1).replace(b'"body": 1', b'"body": ' + b"9" * 10_000)],
    "half a surrogate pair": [header("\udc80")],
    "deep": [header(1).replace(b'"body": 1', b'"body": ' + b"[" * 100_000 + b"]" * 100_000)],
    "deep by a little": [header(1).replace(b'"body": 1', b'"body": ' + b"[" * 33 + b"]" * 33)],
    "key twice": [b'{"magic":"uvatar","protocol":1,"protocol":1,"body":1}'],
    "frame not mentioned": [header(1), b"x"],
    "frame not there": [header({"$": "bytes", "length": 1})],
    "frame shorter than said": [header({"$": "bytes", "length": 2}), b"x"],
    "length not a number": [header({"$": "bytes", "length": "1"}), b"x"],
    "length a boolean": [header({"$": "bytes", "length": True}), b"x"],
    "unknown sort of frame": [header({"$": "pickle", "length": 1}), b"x"],
    "array of objects": [header({"$": "array", "dtype": "|O", "shape": [1]}), bytes(8)],
    "array of records": [header({"$": "array", "dtype": [["a", "<f4"]], "shape": [1]}), bytes(4)],
    "shape too large": [header({"$": "array", "dtype": "<f4", "shape": [2]}), bytes(4)],
    "shape negative": [header({"$": "array", "dtype": "<f4", "shape": [-1, -1]}), bytes(4)],
    "shape that overflows": [header({"$": "array", "dtype": "|u1", "shape": [2**32, 2**32]}), b""],
    "huge axes beside an empty one": [header({"$": "array", "dtype": "|u1", "shape": [0, 2**40, 2**40]}), b""],
    "too many axes": [header({"$": "array", "dtype": "|u1", "shape": [1] * 40}), b"x"],
    "boolean of two": [header({"$": "array", "dtype": "|b1", "shape": [1]}), b"\x02"],
    "reserved key": [header({"$x": 1})],
}


@pytest.mark.parametrize("frames", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_messages_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(UvatarError) as caught:
        unpack(frames)
    assert caught.value.code == "malformed" and caught.value.message and caught.value.fix


@pytest.mark.parametrize("version", [0, 3, "1", None, True, 1e300])
def test_another_version_is_told_apart(version: Any) -> None:
    with pytest.raises(UvatarError) as caught:
        unpack([header({}, protocol=version)])
    assert caught.value.code == "unsupported-version" and "pdate" in caught.value.fix


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(frames=2), [b"1", b"2", b"3"]),
        (Limits(header_bytes=100), "x" * 100),
        (Limits(frame_bytes=100), bytes(101)),
        (Limits(total_bytes=200), [bytes(100), bytes(100)]),
        (Limits(values=100), [[1] * 100, b"x"]),
    ],
)
def test_limits_hold_on_both_sides(limits: Limits, message: Any) -> None:
    with pytest.raises(UvatarError) as sending:
        pack(message, limits)
    if limits.frames == 2:
        assert sending.value.message == "The message has 3 frames; at most 2 are accepted."
    with pytest.raises(UvatarError) as receiving:
        unpack(pack(message), limits)
    assert sending.value.code == receiving.value.code == "too-large"


@pytest.mark.parametrize("values", ["[1,", "[{},", "[[]", '["",', '{"a":1,'])
def test_a_header_of_many_values_is_not_parsed(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole ones, of which an earlier version parsed 4 MB in seconds."""
    start, each = values[0], values[1:]
    text = start + (each * (4_000_000 // len(each))).rstrip(",") + ("}" if start == "{" else "]")
    whole = f'{{"magic":"uvatar","protocol":{PROTOCOL_VERSION},"body":{text}}}'.encode()
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(UvatarError) as caught:
        unpack([whole])
    assert caught.value.code == "too-large"


def test_texts_of_four_million_brackets_and_quotes_are_refused() -> None:
    for text in (b'"' + b'\\"' * 2_000_000, b"[]" * 2_000_000, b'"' * 4_000_000, b"[" * 4_000_000):
        with pytest.raises(UvatarError):
            unpack([text])


@patiently
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_noise_is_refused_politely(frames: list[bytes]) -> None:
    with pytest.raises(UvatarError):
        unpack(frames)


@patiently
@given(MESSAGES, st.data())
def test_damaged_messages_are_refused_or_whole(message: Any, data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in pack(message)]
    for _ in range(data.draw(st.integers(1, 3))):
        frame = data.draw(st.sampled_from(frames))
        place = data.draw(st.integers(0, len(frame)))
        frame[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        out = unpack(frames)
    except UvatarError:
        return
    assert same(out, unpack([bytes(frame) for frame in pack(out)]))


JSON_BODIES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["bytes", "array", *DTYPES]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["$", "length", "dtype", "shape", "a"]), inner, max_size=4),
        st.builds(lambda d, s: {"$": "array", "dtype": d, "shape": s}, inner, st.lists(st.integers(-1, 9), max_size=3)),
        st.builds(lambda n: {"$": "bytes", "length": n}, inner),
    ),
    max_leaves=8,
)


@patiently
@given(JSON_BODIES, st.lists(st.binary(max_size=8), max_size=3))
def test_any_json_is_refused_or_understood(body: Any, frames: list[bytes]) -> None:
    try:
        out = unpack([header(body), *frames])
    except UvatarError:
        return
    assert same(out, unpack([bytes(frame) for frame in pack(out)]))


def test_files_hold_messages(tmp_path: Path) -> None:
    message = {"mesh": np.arange(12, dtype=np.float32).reshape(4, 3), "png": b"\x89PNG", "n": [1, None, 0.5]}
    path = tmp_path / "result"
    message_files.dump({"old": True}, path)
    message_files.dump(message, path)
    assert same(message_files.load(path), message)
    assert [item.name for item in tmp_path.iterdir()] == ["result"]


def test_every_truncation_of_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "result"
    message_files.dump({"mesh": np.arange(3, dtype=np.uint8), "name": "x"}, path)
    whole = path.read_bytes()
    for damaged in [*(whole[:length] for length in range(len(whole))), whole + b"x"]:
        path.write_bytes(damaged)
        with pytest.raises(UvatarError):
            message_files.load(path)


def test_a_file_that_claims_to_be_huge_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"UVATAR\r\n" + (1).to_bytes(4, "little") + (1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(UvatarError):
        message_files.load(path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result"
    message_files.dump({"old": True}, path)

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        message_files.dump({"new": True}, path)
    assert message_files.load(path) == {"old": True}
    assert [item.name for item in tmp_path.iterdir()] == ["result"]


def test_options_have_defaults_and_are_checked() -> None:
    assert checked_options({"fast": True})["texture_size"] == 1024
    given: dict[str, Any] = {
        "photo": "me.jpg",
        "betas_of": "smpl",
        "center_in": "square",
        **{name: [[0.5] * size] for name, size in GIVEN.items()},
    }
    nobody = {**given, **{name: [] for name in GIVEN}}
    assert checked_options({"given_people": [given, nobody]})["given_people"] == [given, nobody]
    wrongs: tuple[Any, ...] = (
        {"texture_size": 1000},
        {"texture_size": 1024.0},
        {"fast": 1},
        {"max_people": True},
        {"max_people": 2.5},
        {"focal": -1},
        {"x": 1},
        {"fast": [True]},
        [],
        {"given_people": "/home/me/results.npz"},
        {"given_people": [{**given, "photo": 1}]},
        {"given_people": [{**given, "path": "results.npz"}]},
        {"given_people": [{**given, "camera": [[1.0, 0.0]]}]},
        {"given_people": [{**given, "camera": [[1.0, 0.0, 1e30]]}]},
        {"given_people": [{**given, "camera": [[1.0, 0.0, True]]}]},
        {"given_people": [{**given, "betas": []}]},
        {"given_people": [{**given, "betas_of": "dog"}]},
        {"given_people": [{**given, **{name: given[name] * 257 for name in GIVEN}}]},
        {"given_people": [{name: value for name, value in given.items() if name != "center"}]},
    )
    for wrong in wrongs:
        with pytest.raises(UvatarError) as caught:
            checked_options(wrong)
        assert caught.value.code == "bad-option"
    assert checked_options({"focal": 1200})["focal"] == 1200 and checked_options({"focal": None})["focal"] is None


def test_the_server_is_found_by_a_file_only_its_user_can_read(tmp_path: Path) -> None:
    runtime = Runtime(50123, "secret", os.getpid(), "0.1.0")
    assert discovery.read_runtime(tmp_path) is None
    discovery.write_runtime(tmp_path, runtime)
    assert discovery.read_runtime(tmp_path) == runtime
    if sys.platform != "win32":
        assert stat.S_IMODE(discovery.runtime_file(tmp_path).stat().st_mode) == 0o600
    for damaged in (b"", b"{}", b"[]", b"nonsense", b'{"magic": "uvatar", "port": 99999}'):
        discovery.runtime_file(tmp_path).write_bytes(damaged)
        assert discovery.read_runtime(tmp_path) is None


def test_the_add_on_can_carry_the_protocol_alone(tmp_path: Path) -> None:
    """Copied out of the package, without any other package than numpy."""
    shutil.copytree(Path(framing.__file__).parent, tmp_path / "carried", ignore=shutil.ignore_patterns("__pycache__"))
    modules = ", ".join(path.stem for path in (tmp_path / "carried").glob("[a-z]*.py"))
    code = f"""import sys
from carried import {modules}
framing.unpack(framing.pack({{'a': b'x'}}))
print(sorted({{m.split('.')[0] for m in sys.modules}}))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout and not {"zmq", "torch", "uvatar"} & set(json.loads(done.stdout.replace("'", '"')))


def test_the_data_folder_can_be_chosen() -> None:
    chosen = "import os; os.environ['UVATAR_DATA'] = 'here'\nfrom uvatar.protocol import discovery\n"
    chosen += "print(discovery.data_folder())"
    assert python(chosen).strip() == "here"


# -- photos of a job ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "photos", "size", "expected"),
    [
        ([], 3, 10, []),
        ([1, 1, 1], 3, 10, [(0, 3)]),
        ([1] * 7, 3, 10, [(0, 3), (3, 6), (6, 7)]),
        ([4, 4, 4, 4], 9, 10, [(0, 2), (2, 4)]),
        ([5, 5, 1], 9, 10, [(0, 2), (2, 3)]),
        ([1, 99, 1], 9, 10, [(0, 1), (1, 2), (2, 3)]),
        ([0] * 1001, 500, 1, [(0, 500), (500, 1000), (1000, 1001)]),
    ],
)
def test_photos_are_shared_out_by_count_and_bytes(
    sizes: list[int], photos: int, size: int, expected: list[tuple[int, int]]
) -> None:
    assert [(job.start, job.stop) for job in photo_lists.portions(sizes, photos, size)] == expected


@given(st.lists(st.integers(0, 50)), st.integers(1, 9), st.integers(1, 60))
def test_every_photo_is_in_one_job_and_no_job_is_too_large(sizes: list[int], photos: int, size: int) -> None:
    jobs = list(photo_lists.portions(iter(sizes), photos, size))
    assert [index for job in jobs for index in job] == list(range(len(sizes)))
    assert all(0 < len(job) <= photos and (len(job) == 1 or sum(sizes[i] for i in job) <= size) for job in jobs)


def test_portions_are_lazy() -> None:
    """The first job is known before the sizes of all photos are."""
    asked: list[int] = []
    sizes = (asked.append(n) or 1 for n in range(10_000))
    assert next(photo_lists.portions(sizes)) == range(JOB_PHOTOS) and len(asked) == JOB_PHOTOS + 1


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("bad\udcff.jpg", "bad�.jpg"),  # bytes that are not UTF-8, as Python gives them
        ("half\ud83d.jpg", "half�.jpg"),  # what Windows allows
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("a\nb\x1b[31m.jpg", "a�b�[31m.jpg"),
        ("写真 😀.jpg", "写真 😀.jpg"),
        ("", "photo"),
        ("x" * 300, "x" * 200),
    ],
)
def test_any_file_name_can_be_sent_as_a_photos_name(name: str, known: str) -> None:
    assert photo_lists.photo_name(name) == known
    assert framing.unpack(framing.pack({"name": photo_lists.photo_name(name)})) == {"name": known}

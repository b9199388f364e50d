"""The options of a job are declared once: an option that is added there is found wherever options appear."""

from __future__ import annotations

from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tools import options_table
from uvatar.commands.cli import make_app
from uvatar.commands.running import Run
from uvatar.engine.pipeline import Pipeline
from uvatar.protocol import options as protocol_options
from uvatar.protocol.errors import Code, UvatarError
from uvatar.protocol.option import BATCH, RECONSTRUCT
from uvatar.protocol.option import option as declaring
from uvatar.protocol.options import Options, checked_options, declared, read_options


@pytest.fixture
def moustache(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more option, declared as the others are."""
    field = declaring(False, "Give everybody a moustache.")
    made = make_dataclass("Options", [("moustache", bool, field)], bases=(Options,), frozen=True, kw_only=True)
    monkeypatch.setattr(protocol_options, "Options", made)


def help_of(command: str) -> str:
    done = CliRunner().invoke(make_app(), [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0
    return " ".join(done.output.split())


@pytest.mark.parametrize("command", [RECONSTRUCT, BATCH])
def test_a_new_option_is_a_flag(command: str, moustache: None) -> None:
    assert "--moustache Give everybody a moustache." in help_of(command)


def test_what_is_not_declared_is_no_flag() -> None:
    assert not any("moustache" in help_of(command) for command in (RECONSTRUCT, BATCH))


def test_a_new_option_is_checked_as_it_comes_in(moustache: None) -> None:
    assert checked_options({"moustache": True})["moustache"] is True
    assert checked_options({})["moustache"] is False
    for wrong in (1, "yes", None):
        with pytest.raises(UvatarError, match="moustache must be True or False") as caught:
            checked_options({"moustache": wrong})
        assert caught.value.code is Code.BAD_OPTION


def test_without_a_declaration_it_is_refused() -> None:
    with pytest.raises(UvatarError, match="no option 'moustache'"):
        checked_options({"moustache": True})


def test_a_new_flag_reaches_the_server(moustache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "me.jpg").write_bytes(b"a photo")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(Run, "follow", lambda run, orders, options: sent.append(options))
    for flags in ([], ["--moustache"]):
        arguments = [RECONSTRUCT, str(tmp_path / "me.jpg"), "--out", str(tmp_path / "out"), "--no-blend", *flags]
        assert CliRunner().invoke(make_app(), arguments).exit_code == 0
    assert [options["moustache"] for options in sent] == [False, True]
    assert sent[0] == {**checked_options({}), "turntable": True}  # the command's own default


def test_a_size_is_a_number_or_automatic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "me.jpg").write_bytes(b"a photo")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(Run, "follow", lambda run, orders, options: sent.append(options))
    for flags in ([], ["--texture-size", "2048"], ["--texture-size", "auto"]):
        arguments = [RECONSTRUCT, str(tmp_path / "me.jpg"), "--out", str(tmp_path / "out"), "--no-blend", *flags]
        assert CliRunner().invoke(make_app(), arguments).exit_code == 0
    assert [options["texture_size"] for options in sent] == [1024, 2048, "auto"]
    for wrong in ("1000", "large"):
        arguments = [RECONSTRUCT, str(tmp_path / "me.jpg"), "--no-blend", "--texture-size", wrong]
        assert CliRunner().invoke(make_app(), arguments).exit_code == 2


def test_a_new_option_reaches_the_engine(moustache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("uvatar.engine.pipeline.run_job", lambda photos, options, *_: given.append(options))
    pipeline = Pipeline(engine=object())  # type: ignore[arg-type]  # without loading a model
    for chosen in ({}, {"moustache": True}):
        pipeline.reconstruct([("me.jpg", b"")], chosen, lambda *_: None, lambda *_: None)
    assert [options.moustache for options in given] == [False, True]
    assert all(isinstance(options, Options) for options in given)


def test_options_are_what_crosses_the_wire() -> None:
    assert {**vars(Options()), "complete_texture": False, "find_people": False} == checked_options({})
    chosen = read_options({"fast": True, "texture": "predicted", "max_people": 2})
    assert chosen == Options(fast=True, texture="predicted", max_people=2)
    assert read_options(checked_options(vars(chosen))) == chosen


def test_every_declaration_is_whole() -> None:
    for name, option in declared().items():
        assert option.accepts(option.default), name
        assert option.about.endswith("."), name
        if option.panel is not None and option.panel.choices:
            values = set(option.choices or ()) | ({None} if option.optional else set())
            assert set(option.panel.choices) == values, name
        if option.panel is not None:
            assert set(option.panel.shown_if) | set(option.panel.active_if) <= set(declared()), name
            assert not option.panel.tooltip.endswith("."), name
        if option.flag is not None:
            assert all(option.accepts(value) for value in option.flag.defaults.values()), name
            assert set(option.flag.commands) <= {RECONSTRUCT, BATCH}, name


def test_the_page_of_options_is_as_they_are_declared() -> None:
    assert options_table.PAGE.read_text(encoding="utf-8") == options_table.page(), "run python tools/options_table.py"

"""What holds secrets or photos is its owner's alone, also where something had opened it."""

from __future__ import annotations

import logging
import os
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_cli import uvatar
from tests.service.servers import python
from tests.service.test_jobs import new_job
from uvatar.protocol import discovery, private_files
from uvatar.protocol.errors import UvatarError
from uvatar.protocol.private_files import private_file, private_folder
from uvatar.service.journal import Journal
from uvatar.service.network import load_keys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is another user than the one whose files there are."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)


def test_a_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "data")
    new_job(journal)
    folders = [tmp_path / "new" / "data", *(path for path in (tmp_path / "new" / "data").rglob("*") if path.is_dir())]
    assert {mode(path) for path in folders} == {0o700}
    assert {mode(path) for path in (tmp_path / "new" / "data").rglob("*") if path.is_file()} == {0o600}
    journal.close()


def test_a_file_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("mine")
    path.chmod(0o644)
    with pytest.raises(FileExistsError):
        private_folder(path)
    assert os.name == "nt" or mode(path) == 0o644


def test_what_was_open_to_others_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Journal(tmp_path).close()
    for path, bits in ((tmp_path, 0o777), (tmp_path / "jobs", 0o755), (tmp_path / "journal.sqlite", 0o644)):
        path.chmod(bits)
    (tmp_path / "of mine.txt").touch()
    with caplog.at_level(logging.WARNING, "uvatar"):
        journal = Journal(tmp_path)
    assert mode(tmp_path) == 0o755  # it may hold other things of the user's: nobody else can change it, that is all
    assert (
        mode(tmp_path / "jobs") == 0o700
        and mode(tmp_path / "journal.sqlite") == 0o600
        and mode(tmp_path / "of mine.txt") == 0o644
    )
    journal.close()


def test_a_link_among_the_jobs_deletes_nothing_elsewhere(tmp_path: Path) -> None:
    """Where others could write, one of them exchanged a job's folder for a link to the owner's photos."""
    journal = Journal(tmp_path / "data")
    job = new_job(journal)
    journal.cancel(job)
    journal.close()
    own = tmp_path / "pictures"
    own.mkdir()
    for name in ("photo-000", "photo-mine.jpg", "job"):
        (own / name).write_text("mine")
    (tmp_path / "data" / "jobs" / job).rename(tmp_path / "moved")
    (tmp_path / "data" / "jobs" / job).symlink_to(own)
    (tmp_path / "data" / "jobs" / str(uuid.uuid4())).symlink_to(own)
    again = Journal(tmp_path / "data")
    again.close()
    assert {path.name for path in own.iterdir()} == {"photo-000", "photo-mine.jpg", "job"}
    assert not list((tmp_path / "data" / "jobs").iterdir())


@pytest.mark.parametrize("bits", [0o777, 0o755])
def test_a_folder_of_somebody_else_is_refused(bits: int, tmp_path: Path, somebody_elses: None) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(bits)
    for use in (lambda: private_folder(tmp_path / "theirs"), lambda: Journal(tmp_path / "theirs")):
        with pytest.raises(UvatarError, match="belongs to another user") as caught:
            use()
        assert caught.value.code == "data-folder" and "UVATAR_DATA" in caught.value.fix
    assert mode(tmp_path / "theirs") == bits and not list((tmp_path / "theirs").iterdir())


def test_the_administrator_uses_what_only_its_owner_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's root does with a folder of the computer outside."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    owned = folder.stat()
    other = os.stat_result((owned.st_mode, *owned[1:4], owned.st_uid + 4711, *owned[5:]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert private_files._is_ours(other)
    assert not private_files._is_ours(os.stat_result((owned.st_mode | 0o002, *other[1:])))


def test_secrets_that_others_can_read_are_closed_and_those_they_can_write_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "token"
    path.write_text("a token of more than 16 letters")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, "uvatar"):
        private_file(path, "token")
    assert mode(path) == 0o600
    for bits in (0o620, 0o602, 0o666):
        path.chmod(bits)
        with pytest.raises(UvatarError, match=r"Other users can write to .*token") as caught:
            private_file(path, "token")
        assert caught.value.code == "bad-access" and mode(path) == bits


def test_keys_that_were_open_to_others(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    (tmp_path / "network-keys.json").chmod(0o644)
    assert load_keys(tmp_path) == keys and mode(tmp_path / "network-keys.json") == 0o600
    (tmp_path / "network-keys.json").chmod(0o666)
    with pytest.raises(UvatarError, match="Other users can write"):
        load_keys(tmp_path)


def test_a_token_file_that_is_open_to_others_is_told_in_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a token of more than 16 letters")
    path.chmod(0o666)
    done = uvatar("serve", "--data", tmp_path / "data", "--token-file", path)
    assert done.returncode == 1 and "Other users can write" in done.stderr and "Traceback" not in done.stderr


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home(self: Path) -> Path:
        if str(self).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return self

    for name in ("UVATAR_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "expanduser", no_home)
        with pytest.raises(UvatarError, match="home folder") as caught:
            discovery.data_folder()
        assert caught.value.code == "data-folder" and "UVATAR_DATA" in caught.value.fix
        patched.setenv("UVATAR_DATA", str(tmp_path / "data"))
        assert discovery.data_folder() == tmp_path / "data"
        if sys.platform == "linux":
            patched.delenv("UVATAR_DATA")
            patched.setenv("XDG_DATA_HOME", str(tmp_path))
            assert discovery.data_folder() == tmp_path / "uvatar"
    said = python(
        "import sys; from pathlib import Path; Path.expanduser = lambda self: exec('raise RuntimeError')\n"
        "import os; os.environ.pop('UVATAR_DATA', None); sys.argv = ['uvatar', 'logs']\n"
        "from uvatar.commands.cli import main\ntry: main()\nexcept SystemExit as end: print(end)"
    )
    assert "home folder" in said and "UVATAR_DATA" in said

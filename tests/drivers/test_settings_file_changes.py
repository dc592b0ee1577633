"""Files of the settings are made and replaced wholly or not at all, and keep their owner and mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.drivers.settings.file_changes import NewFile, new_files, replace_text


def mode(path: Path) -> int:
    """The permission bits."""
    return path.stat().st_mode & 0o777


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A settings file."""
    path = tmp_path / "settings.yaml"
    path.write_text("server: {}\n")
    path.chmod(0o640)
    return path


def test_new_files_have_the_mode_of_the_settings_or_their_own(settings: Path) -> None:
    """Who may read a file may enter the folder that is made for it."""
    public, secret = settings.parent / "tenants/a.yaml", settings.parent / "secrets/a"
    with new_files(settings, {public: NewFile("a"), secret: NewFile("s", 0o600)}):
        pass
    assert (public.read_text(), secret.read_text()) == ("a", "s")
    assert [mode(path) for path in (public.parent, public, secret.parent, secret)] == [0o750, 0o640, 0o700, 0o600]


def test_what_fails_leaves_no_new_file(settings: Path) -> None:
    """The folders that were made are gone as well; one that was there stays."""
    (settings.parent / "tenants").mkdir()
    files = {settings.parent / "tenants/a.yaml": NewFile("a"), settings.parent / "secrets/a": NewFile("s", 0o600)}
    with pytest.raises(ZeroDivisionError), new_files(settings, files):
        raise ZeroDivisionError
    assert sorted(path.name for path in settings.parent.rglob("*")) == ["settings.yaml", "tenants"]


def test_an_existing_file_is_never_replaced(settings: Path) -> None:
    """It keeps its text, and the file made before it is removed."""
    there, new = settings.parent / "there", settings.parent / "new"
    there.write_text("mine")
    with pytest.raises(FileExistsError), new_files(settings, {new: NewFile("a"), there: NewFile("b")}):
        pass
    assert (there.read_text(), new.exists()) == ("mine", False)


def test_a_replaced_text_keeps_mode_and_link(settings: Path) -> None:
    """Mounted settings are links: the link stays, and its target has the new text."""
    link = settings.parent / "link.yaml"
    link.symlink_to(settings)
    replace_text(link, "a: 1\r\n")
    assert (link.is_symlink(), settings.read_bytes(), mode(settings)) == (True, b"a: 1\r\n", 0o640)
    assert {path.name for path in settings.parent.iterdir()} == {"settings.yaml", "link.yaml"}


def test_a_text_that_cannot_be_written_changes_nothing(settings: Path) -> None:
    """The old text stays, and the unfinished file is removed."""
    with pytest.raises(UnicodeEncodeError):
        replace_text(settings, "\udc80")
    assert (settings.read_text(), len(list(settings.parent.iterdir()))) == ("server: {}\n", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_belong_to_the_owner_of_the_settings(settings: Path) -> None:
    """Root may set tenants up for the gateway's own user, who must be able to read their secrets."""
    os.chown(settings, 4711, 4712)
    secret = settings.parent / "secrets/a"
    with new_files(settings, {secret: NewFile("s", 0o600)}):
        replace_text(settings, "a: 1")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (settings, secret, secret.parent)} == {(4711, 4712)}

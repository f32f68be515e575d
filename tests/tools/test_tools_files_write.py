"""File tools that write: with approval, inside the folder, whole or not at all, whoever changes the tree meanwhile."""

import ctypes
import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

import pytest
from file_houses import SECRET, house_in, outcome
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentkit import Agent, ConfigError, Tool, ToolFailed, load_tools
from agentkit.testing import ScriptedModel, call
from agentkit.tools.files import Files

pytestmark = pytest.mark.skipif(
    os.open not in os.supports_dir_fd, reason="files are written where a folder can be held open (not on Windows)"
)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux: /proc, openat2")


@pytest.fixture(params=["nameless", "named"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to make a new file: as on Linux, and as where each file has a name from the start."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with every kind of way out, beside a secret."""
    root = house_in(tmp_path)
    (root / "new-link").symlink_to(tmp_path / "secret" / "new.txt")
    return root


def outside(root: Path) -> dict[str, str]:
    """All that lies beside a folder: names and contents."""
    found = {}
    for top, folders, files in os.walk(root.parent):
        if Path(top) == root.parent:
            folders.remove(root.name)
        found.update({os.path.join(top, name): "" for name in folders})
        found.update({os.path.join(top, name): Path(top, name).read_text(encoding="utf-8") for name in files})
    return found


def names(root: Path) -> set[str]:
    """The paths of all there is in a folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def in_child(script: str, *words: object, **options: object) -> subprocess.Popen[str]:
    """A Python process that runs a script on a folder."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", **options)  # type: ignore[call-overload, no-any-return]


def test_a_folder_is_read_only_unless_asked(house: Path) -> None:
    """By default no tool writes, not even one that is picked by hand; each that does needs approval."""
    reading = ["list_files", "read_file", "find_in_files"]
    assert [tool.__name__ for tool in Files(house).tools] == reading
    writing = Files(house, write=True).tools
    assert [tool.__name__ for tool in writing] == [*reading, "write_file", "edit_file", "delete_file"]
    policies = [Tool.of(tool).policy for tool in writing]
    assert [policy.effects for policy in policies] == ["read"] * 3 + ["destructive", "write", "destructive"]
    assert [policy.approval for policy in policies] == [False] * 3 + [True] * 3
    for work in (
        lambda: Files(house).write_file("new.txt", "x"),
        lambda: Files(house).edit_file("notes.txt", "first", "last"),
        lambda: Files(house).delete_file("notes.txt"),
    ):
        assert outcome(work) == "failed: this folder may only be read; tell the user"
    assert (house / "notes.txt").read_text(encoding="utf-8") == "first line\nsecond line\n"


def test_tools_that_write_are_not_loaded_by_name() -> None:
    """An agent file cannot give them to a model by accident."""
    assert [tool.__name__ for tool in load_tools("files")] == ["list_files", "read_file", "find_in_files"]
    with pytest.raises(ConfigError, match="has no tool 'write_file'"):
        load_tools("files:write_file")


@pytest.mark.anyio
async def test_each_call_needs_a_yes(house: Path) -> None:
    """Without an approver nothing is written, and the model is told; reading goes on as before."""

    async def yes(_: object) -> bool:
        return True

    calls = [call("write_file", path="new.txt", text="x"), call("read_file", path="notes.txt")]
    model = ScriptedModel([calls, "Done."] * 2)
    agent = Agent(model, tools=Files(house, write=True).tools)
    refused = await agent.run("Go.")
    assert [message.is_error for message in refused.messages[2:4]] == [True, False]  # type: ignore[union-attr]
    assert not (house / "new.txt").exists()
    await agent.run("Go.", approve=yes)
    assert (house / "new.txt").read_text(encoding="utf-8") == "x"


def test_a_file_is_written(house: Path, means: str) -> None:
    """Whole and to the letter; missing folders are made; what is there is replaced only if that is said."""
    files = Files(house, write=True)
    text = "\ufeffone\r\ntwo\n€🙂"
    assert files.write_file("a/b/c.txt", text) == "a/b/c.txt written, 19 bytes"
    assert (house / "a" / "b" / "c.txt").read_bytes() == text.encode()
    there = "failed: 'notes.txt' is there already; use edit_file, or replace=true to write it anew"
    assert outcome(lambda: files.write_file("notes.txt", "x")) == there
    assert files.write_file("notes.txt", "", replace=True) == "notes.txt written, 0 bytes"
    assert (house / "notes.txt").read_bytes() == b""
    assert files.write_file("new.txt", "x", replace=True) == "new.txt written, 1 bytes"
    assert files.delete_file("new.txt") == "new.txt deleted"
    assert "is no 'new.txt'" in outcome(lambda: files.delete_file("new.txt"))
    assert not {name for name in names(house) if name.endswith(".tmp")}


def test_a_files_mode_is_kept(house: Path, means: str) -> None:
    """And a new file's is what the process makes files with."""
    files = Files(house, write=True)
    umask = os.umask(0o027)
    try:
        files.write_file("new.txt", "x")
        for mode in (0o600, 0o755, 0o666):
            (house / "notes.txt").chmod(mode)
            files.write_file("notes.txt", f"{mode}", replace=True)
            files.edit_file("notes.txt", f"{mode}", "x")
            assert stat.S_IMODE((house / "notes.txt").stat().st_mode) == mode
    finally:
        os.umask(umask)
    assert stat.S_IMODE((house / "new.txt").stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_files_owner_is_kept(house: Path) -> None:
    """An agent that runs as root does not take what it edits from its owner."""
    os.chown(house / "notes.txt", 1234, 5678)
    Files(house, write=True).edit_file("notes.txt", "first", "last")
    assert ((house / "notes.txt").stat().st_uid, (house / "notes.txt").stat().st_gid) == (1234, 5678)


def test_a_write_protected_file_is_left_alone(house: Path) -> None:
    """A new file in its place would get round what its owner has said."""
    (house / "notes.txt").chmod(0o444)
    files = Files(house, write=True)
    for work in (
        lambda: files.write_file("notes.txt", "x", replace=True),
        lambda: files.edit_file("notes.txt", "first", "last"),
    ):
        assert re.fullmatch(r"failed: 'notes.txt' (is write-protected|cannot be written: .*)", outcome(work))
    assert (house / "notes.txt").read_text(encoding="utf-8") == "first line\nsecond line\n"


OUT = [
    "/etc/agentkit-was-here",
    "//etc/agentkit-was-here",
    "..",
    ".",
    "",
    "../new.txt",
    "../secret/key.txt",
    "docs/../../secret/key.txt",
    "docs/../new.txt",
    "file-link",
    "new-link",
    "inside-link",
    "folder-link",
    "folder-link/key.txt",
    "folder-link/new.txt",
    "folder-link/new/new.txt",
    "up-link/new.txt",
    "up-link/secret/key.txt",
    "docs/round/new.txt",
    "notes.txt/new.txt",
    "docs",
    "docs/deep/",
    "new.txt\0",
    "\0",
    "docs/\udc2e\udc2e\ud800",
    "x" * 300,
    "x/" * 2000 + "x",
    "x/" * 50 + "x",
    "../" * 2000 + "x",
    "a" * 1_000_000,
]


@pytest.mark.parametrize("path", OUT, ids=lambda path: ascii(path)[:40])
def test_nothing_is_written_outside(house: Path, path: str) -> None:
    """Not up, not from the top, not through a link; and an error leaves nothing behind."""
    before, inside = outside(house), names(house)
    files = Files(house, write=True)
    for work in (
        lambda: files.write_file(path, "x"),
        lambda: files.write_file(path, "x", replace=True),
        lambda: files.edit_file(path, "treasure", "x"),
        lambda: files.delete_file(path),
    ):
        with pytest.raises(ToolFailed) as error:
            work()
        assert len(str(error.value)) < 400
        assert str(house.parent) not in str(error.value)
    assert outside(house) == before
    assert names(house) == inside


PIECES = [
    "..",
    ".",
    "/",
    "//",
    "docs",
    "deep",
    "notes.txt",
    "new.txt",
    "secret",
    "key.txt",
    "\0",
    "~",
    "\\",
    "C:",
    "%2e",
]
PATHS = (
    st.lists(st.sampled_from([*PIECES, "folder-link", "up-link", "round", "file-link"]), max_size=8).map("/".join)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
    | st.text(max_size=40)
)
repeated = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@repeated
@given(PATHS, st.text(max_size=20))
def test_any_path_is_written_inside_or_refused(house: Path, path: str, text: str) -> None:
    """There is no third outcome, and what was written is what can be read."""
    before = outside(house)
    files = Files(house, write=True)
    said = outcome(lambda: files.write_file(path, text, replace=True))
    assert outside(house) == before
    if not said.startswith("failed: "):
        assert house.joinpath(*PurePath(path).parts).read_bytes() == text.encode()
        files.delete_file(path)


RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08


def beneath(root: Path, path: str) -> tuple[int, int] | None:
    """What Linux itself opens at a path when it is told to stay beneath a folder: `openat2`, which Python lacks."""
    how = (ctypes.c_uint64 * 3)(os.O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
    system = ctypes.CDLL(None, use_errno=True)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        handle = system.syscall(437, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if handle < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
            pytest.skip("this system has no openat2")
        if handle < 0:
            return None
        info = os.fstat(handle)
        os.close(handle)
        return info.st_dev, info.st_ino
    finally:
        os.close(folder)


@on_linux
@settings(repeated, max_examples=500)
@given(PATHS)
def test_what_is_opened_is_what_the_kernel_would_open(house: Path, path: str) -> None:
    """Name by name without following links comes to the same as `openat2(RESOLVE_BENEATH)`, which is not everywhere."""
    with suppress(UnicodeEncodeError):
        plain = os.fspath(PurePath(path))
        assume("\0" not in plain and len(os.fsencode(plain)) < 1000)
        allowed = beneath(house, plain)
        said = outcome(lambda: Files(house).list_files(path))
        if "leads out of the folder" in said:  # also where `..` would lead back in
            assert allowed is None or ".." in path
        elif "is not a folder" in said or "there is no" in said or "cannot be" in said:
            assert allowed is None or allowed[1] != house.stat().st_ino
            assert allowed is None or not stat.S_ISDIR(os.stat(house / plain).st_mode)
        else:
            info = os.stat(house / plain, follow_symlinks=False)
            assert allowed == (info.st_dev, info.st_ino)


@contextmanager
def flipping(root: Path) -> Iterator[None]:
    """A `door` that is a folder one moment and a link to the secret the next; and `file.txt` likewise."""
    places = {"folder": root / "door", "file": root / "file.txt"}
    links = {"folder": root / "door-link", "file": root / "file-link-2"}
    places["folder"].mkdir()
    places["file"].write_text("nothing to see", encoding="utf-8")
    links["folder"].symlink_to(root.parent / "secret")
    links["file"].symlink_to(root.parent / "secret" / "key.txt")
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for kind, place in places.items():
                aside = root / f"{kind}-aside"
                with suppress(OSError):  # each may have been written anew, or deleted, meanwhile
                    os.rename(place, aside)
                with suppress(OSError):
                    os.rename(links[kind], place)
                    os.rename(place, links[kind])
                with suppress(OSError):
                    os.rename(aside, place)

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        yield
    finally:
        stop.set()
        flipper.join()


def race(house: Path, times: int) -> None:
    before = outside(house)
    files, seen = Files(house, write=True), set()
    with flipping(house):
        for number in range(times):
            for work in (
                lambda number=number: files.write_file("door/key.txt", f"mine {number}", replace=True),
                lambda number=number: files.write_file(f"door/new-{number}.txt", "mine"),
                lambda number=number: files.write_file("file.txt", f"mine {number}", replace=True),
                lambda: files.edit_file("door/key.txt", "treasure", "mine"),
                lambda: files.edit_file("file.txt", "treasure", "mine"),
                lambda number=number: files.delete_file(f"door/new-{number}.txt"),
                lambda: files.delete_file("door/key.txt"),
            ):
                seen.add(re.sub(r"\d+", "N", outcome(work)))
    assert outside(house) == before
    assert "file.txt written, N bytes" in seen  # both were there to be met: the file,
    assert any("link" in said for said in seen)  # and the link


def test_swapping_a_link_in_does_not_lead_a_write_out(house: Path) -> None:
    """Between looking and writing there is no moment in which a link would be followed (CWE-367)."""
    race(house, 100)


@pytest.mark.sweep
def test_swapping_a_link_in_ten_thousand_times_does_not_lead_out(house: Path) -> None:
    """The same for long."""
    race(house, 1_500)


def test_a_hard_links_other_name_keeps_the_old_content(house: Path, means: str) -> None:
    """What lies outside is not changed through a name inside; nor deleted."""
    key = house.parent / "secret" / "key.txt"
    for name in ("one", "two", "three"):
        os.link(key, house / name)
    files = Files(house, write=True)
    files.write_file("one", "mine", replace=True)
    files.edit_file("two", "treasure", "mine")
    files.delete_file("three")
    assert key.read_text(encoding="utf-8") == SECRET
    assert (house / "one").read_text(encoding="utf-8") == "mine"
    assert (house / "two").read_text(encoding="utf-8") == "the mine is under the old oak"


def test_pipes_devices_and_sockets_are_not_written(house: Path) -> None:
    """Nor waited for, replaced or deleted."""
    os.mkfifo(house / "pipe")
    folder = os.open(house, os.O_RDONLY)
    special = ["pipe", "socket"]
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/socket" if sys.platform == "linux" else str(house / "socket"))
    finally:
        os.close(folder)
    with suppress(PermissionError):  # root may
        os.mknod(house / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        special.append("null")
    files = Files(house, write=True)
    with ThreadPoolExecutor(1) as pool:
        for name in special:
            for work in (
                lambda name=name: files.write_file(name, "x"),
                lambda name=name: files.write_file(name, "x", replace=True),
                lambda name=name: files.edit_file(name, "x", "y"),
                lambda name=name: files.delete_file(name),
            ):
                said = pool.submit(outcome, work).result(timeout=10)
                assert said == f"failed: {name!r} is a device or a pipe, not a file"
            assert not stat.S_ISREG((house / name).stat().st_mode)


@on_linux
def test_the_kernels_own_files_are_not_opened() -> None:
    """Not even where the caller's folder holds them."""
    files = Files("/", write=True)
    for work in (
        lambda: files.read_file(f"proc/{os.getpid()}/environ"),
        lambda: files.list_files("proc"),
        lambda: files.write_file("proc/sys/kernel/core_pattern", "|x", replace=True),
        lambda: files.edit_file("proc/self/comm", "p", "q"),
        lambda: files.read_file("sys/kernel/notes"),
    ):
        said = outcome(work)
        assert "which holds no files" in said or "links are not followed" in said


def test_a_full_disk_leaves_the_old_content(house: Path, means: str) -> None:
    """The model is told; nothing is cut short, and no piece is left behind. (A quota stands for the disk.)"""
    script = """
        import os, resource, sys
        from agentkit import ToolFailed
        from agentkit.tools.files import Files
        if sys.argv[2] == "named" and hasattr(os, "O_TMPFILE"):
            del os.O_TMPFILE
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        files = Files(sys.argv[1], write=True)
        for path, replace in (("notes.txt", True), ("new.txt", False)):
            try:
                print(files.write_file(path, "x" * 500_000, replace))
            except ToolFailed as error:
                print(error)
    """
    said = in_child(script, house, means).communicate(timeout=60)[0].splitlines()
    assert said == ["'notes.txt' cannot be written: File too large", "'new.txt' cannot be written: File too large"]
    assert (house / "notes.txt").read_text(encoding="utf-8") == "first line\nsecond line\n"
    assert not {name for name in names(house) if name.startswith((".", "new.txt"))}


WRITER = """
    import os, sys
    from agentkit.tools.files import Files
    if sys.argv[2] == "named" and hasattr(os, "O_TMPFILE"):
        del os.O_TMPFILE
    files = Files(sys.argv[1], write=True)
    print("ready", flush=True)
    while True:
        for letter in "ab":
            files.write_file("file.txt", letter * 300_000, True)
            files.edit_file("file.txt", letter, letter.upper(), all=True)
"""


def kill_writers(root: Path, means: str, times: int) -> None:
    (root / "file.txt").write_text("a" * 300_000, encoding="utf-8")
    for number in range(times):
        with in_child(WRITER, root, means) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            for _ in range(number * 997):  # a moment that is another each time
                pass
            meanwhile = (root / "file.txt").read_bytes()
            writer.send_signal(signal.SIGKILL)
        for data in (meanwhile, (root / "file.txt").read_bytes()):
            assert len(data) == 300_000
            assert len(set(data)) == 1
    left = [name for name in names(root) if name.endswith(".tmp")]
    assert len(left) <= times
    Files(root, write=True).write_file("file.txt", "whole", replace=True)  # no lock outlives its process


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path: Path, means: str) -> None:
    """Never a mix, nor half of it, for whoever reads at that moment or later; at most its own new file is left."""
    kill_writers(tmp_path, means, 5)


@pytest.mark.sweep
def test_many_killed_writers_leave_the_old_content_or_the_new(tmp_path: Path, means: str) -> None:
    """The same for long."""
    kill_writers(tmp_path, means, 150)


@pytest.mark.parametrize(
    ("content", "old", "new", "edited"),
    [
        (b"one\ntwo\n", "two", "2", b"one\n2\n"),
        (b"one\r\ntwo\r\nthree\r\n", "one\ntwo", "1\n2\n2a", b"1\r\n2\r\n2a\r\nthree\r\n"),
        (b"one\r\ntwo\r\n", "one\r\ntwo", "1\r\n2", b"1\r\n2\r\n"),
        (b"one\ntwo\n", "one\r\ntwo", "1\r\n2", b"1\n2\n"),
        (b"one\r\ntwo\nthree\r\nfour\r\n", "two\nthree", "2\n3", b"one\r\n2\r\n3\r\nfour\r\n"),
        (b"one\r\ntwo\n", "one", "1", b"1\r\ntwo\n"),
        (b"\xef\xbb\xbfone\n", "one", "1", b"\xef\xbb\xbf1\n"),
        (b"\xef\xbb\xbfone\n", "\ufeffone", "\ufeff1", b"\xef\xbb\xbf1\n"),
        (b"a\r\nb", "\nb", "\nc", b"a\r\nc"),
        (b"no end", "end", "end\n", b"no end\n"),
        ("caf€ 🙂".encode(), "€ 🙂", "é", "café".encode()),
        (b"old Mac\rlines\r", "Mac", "mac", b"old mac\rlines\r"),
        (b"a.b", ".", "\\1", b"a\\1b"),
        (b"cut me", " me", "", b"cut"),
    ],
)
def test_a_piece_of_text_is_replaced(content: bytes, old: str, new: str, edited: bytes, tmp_path: Path) -> None:
    """Line breaks and the mark at the beginning stay as they are in the file, however the model writes them."""
    (tmp_path / "file").write_bytes(content)
    Files(tmp_path, write=True).edit_file("file", old, new)
    assert (tmp_path / "file").read_bytes() == edited


def test_an_edit_says_where_or_why_not(tmp_path: Path) -> None:
    """The old text must be there, and once; what the model may do about it is said."""
    (tmp_path / "file").write_text("one\ntwo\none aaa\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "binary").write_bytes(b"one\0")
    files = Files(tmp_path, write=True)
    nothing = "nothing would change; write in old what is in the file, and in new what is to be there"
    said = {
        ("file", "three", "3"): "the file does not hold the old text; read_file shows what it holds, letter by letter",
        ("file", "one", "1"): "the old text is there 2 times; write more of what is around it, or all=true",
        ("file", "aa", "b"): "the old text is there 2 times; write more of what is around it, or all=true",
        ("file", "", "x"): nothing,
        (
            "file",
            "two",
            "two",
        ): "nothing would change; write in old what is in the file, and in new what is to be there",
        ("file", "two", "\ud800"): "the text holds half a character (a lone surrogate); write whole ones",
        ("file", "\ud800", "x"): "the text holds half a character (a lone surrogate); write whole ones",
        ("latin", "caf", "x"): "'latin' is not text in UTF-8, an edit would damage it",
        ("binary", "one", "x"): "'binary' is not text in UTF-8, an edit would damage it",
        ("gone", "one", "x"): "there is no 'gone'; list_files shows what there is, write_file makes a new one",
        ("no/folder", "one", "x"): "there is no 'no/folder'; list_files shows what there is",
    }
    assert {edit: outcome(lambda edit=edit: files.edit_file(*edit)) for edit in said} == {
        edit: f"failed: {text}" for edit, text in said.items()
    }
    assert names(tmp_path) == {"file", "latin", "binary"}
    assert files.edit_file("file", "two", "2") == "file changed in line 2"
    assert files.edit_file("file", "one", "1", all=True) == "file changed in 2 places, the first in line 1"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "1\n2\n1 aaa\n"


LINES = st.lists(st.sampled_from(["a", "b", "é", "\n", "\r\n"]), max_size=12).map("".join)


@settings(repeated, max_examples=300)
@given(LINES, LINES.filter(bool), LINES, st.booleans())
def test_an_edit_replaces_what_is_there_once_and_nothing_else(
    tmp_path: Path, text: str, old: str, new: str, everywhere: bool
) -> None:
    """As Python's own `replace` would, but for the kind of the line breaks."""
    (tmp_path / "file").write_bytes(text.encode())
    plain, wanted, put = (each.replace("\r\n", "\n") for each in (text, old, new))
    said = outcome(lambda: Files(tmp_path, write=True).edit_file("file", old, new, everywhere))
    after = (tmp_path / "file").read_bytes().decode()
    places = [place for place in range(len(plain)) if plain.startswith(wanted, place)]
    if old == new or not places or (len(places) > 1 and not everywhere):
        assert said.startswith("failed: ")
        assert after == text
    else:
        kinds = {put, put.replace("\n", "\r\n")}
        assert any(after.replace("\r\n", "\n") == plain.replace(wanted, kind).replace("\r\n", "\n") for kind in kinds)


def test_sizes_and_counts_are_capped(tmp_path: Path) -> None:
    """A megabyte, 40 folders deep, 10,000 entries; and an edit cannot grow past all bounds."""
    files = Files(tmp_path, write=True)
    assert files.write_file("most", "x" * 1_000_000) == "most written, 1000000 bytes"
    assert "1000001 bytes, 1000000 are allowed" in outcome(lambda: files.write_file("more", "x" * 1_000_001))
    assert "500000 are" not in outcome(lambda: files.write_file("more", "€" * 333_334))
    grown = outcome(lambda: files.edit_file("most", "x", "x" * 900_000, all=True))
    assert grown == "failed: the file would have over 1000000 bytes; split it"
    (tmp_path / "large").write_bytes(b"x" * 1_000_001)
    assert "too much to edit" in outcome(lambda: files.edit_file("large", "x", "y", all=True))
    assert "41 names, 40 are allowed" in outcome(lambda: files.write_file("d/" * 40 + "x", "x"))
    (tmp_path / "full").mkdir()
    for number in range(10_000):
        os.link(tmp_path / "most", tmp_path / "full" / str(number))
    assert "is full, it has 10000 entries" in outcome(lambda: files.write_file("full/new", "x"))
    assert names(tmp_path / "full") == set(map(str, range(10_000)))


def test_a_change_by_somebody_else_is_not_overwritten(house: Path) -> None:
    """Whatever another program writes between an edit's reading and its writing stays, and the model is told."""
    script = """
        import os, sys
        from agentkit import ToolFailed
        from agentkit.tools.files import Files
        root, action = sys.argv[1:]
        done = []

        def meanwhile(event, arguments):  # just before the new file takes a name
            if event == "os.link":
                done.append(event)
            if event == "os.link" and len(done) == 1 + (action == "made late"):
                path = os.path.join(root, "notes.txt")
                if action == "same size and time":
                    info = os.stat(path)
                    with open(path, "r+") as file:
                        file.write("FIRST")
                    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
                elif action == "replaced":
                    with open(path + "~", "w") as file:
                        file.write("another")
                    os.rename(path + "~", path)
                elif action == "deleted":
                    os.unlink(path)
                elif action == "linked":
                    os.unlink(path)
                    os.symlink("../secret/key.txt", path)
                else:
                    with open(os.path.join(root, "new.txt"), "w") as file:
                        file.write("another")

        sys.addaudithook(meanwhile)
        files = Files(root, write=True)
        try:
            if action.startswith("made"):
                files.write_file("new.txt", "mine")
            else:
                files.edit_file("notes.txt", "first", "last")
        except ToolFailed as error:
            print(error)
    """
    changed = "'notes.txt' was changed by somebody else meanwhile; read it again, then write"
    for action, said, left in (
        ("same size and time", changed, "FIRST line\nsecond line\n"),
        ("replaced", changed, "another"),
        ("deleted", changed, None),
        ("linked", "'notes.txt' is a link, and links are not followed", SECRET),
        ("made", changed.replace("notes", "new"), "another"),
        ("made late", "'new.txt' cannot be written: File exists", "another"),
    ):
        (house / "new.txt").unlink(missing_ok=True)
        (house / "notes.txt").unlink(missing_ok=True)
        (house / "notes.txt").write_text("first line\nsecond line\n", encoding="utf-8")
        assert in_child(script, house, action).communicate(timeout=60)[0].strip() == said
        file = house / ("new.txt" if action.startswith("made") else "notes.txt")
        assert (file.read_text(encoding="utf-8") if file.exists() else None) == left
        assert not {name for name in names(house) if name.endswith(".tmp")}


def test_edits_of_many_runs_do_not_undo_each_other(tmp_path: Path, means: str) -> None:
    """Each of 200 edits of one file, by 20 threads at once, is in it at the end."""
    (tmp_path / "file").write_text("".join(f"[{number}]\n" for number in range(200)), encoding="utf-8")
    files = Files(tmp_path, write=True)
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda number: files.edit_file("file", f"[{number}]", f"({number})"), range(200)))
    assert said == [f"file changed in line {number + 1}" for number in range(200)]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "".join(f"({number})\n" for number in range(200))


def test_of_many_that_make_a_file_one_does(tmp_path: Path) -> None:
    """Whoever comes second is told that it is there; nobody's content is lost."""
    files = Files(tmp_path, write=True)
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda number: outcome(lambda: files.write_file("a/b/c", f"{number:02}")), range(50)))
    written = [number for number, text in enumerate(said) if text == "a/b/c written, 2 bytes"]
    assert len(written) == 1
    assert (tmp_path / "a" / "b" / "c").read_text(encoding="utf-8") == f"{written[0]:02}"


def test_a_name_in_other_capitals_is_the_same_file_where_the_disk_says_so(tmp_path: Path) -> None:
    """On a disk that does not tell capitals apart, `NOTES.txt` replaces `notes.txt` only if it may."""
    (tmp_path / "notes.txt").write_text("old", encoding="utf-8")
    if not (tmp_path / "NOTES.txt").exists():
        pytest.skip("this disk tells capitals from small letters")
    files = Files(tmp_path, write=True)
    assert "is there already" in outcome(lambda: files.write_file("NOTES.txt", "new"))
    files.write_file("NOTES.txt", "new", replace=True)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["new"]


def test_where_a_folder_cannot_be_held_nothing_is_written(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a link could be swapped in between looking and writing."""
    monkeypatch.setattr(os, "supports_dir_fd", set())
    files = Files(house, write=True)
    assert "nothing is written here" in outcome(lambda: files.write_file("new.txt", "x"))
    assert "nothing is written here" in outcome(lambda: files.delete_file("notes.txt"))
    assert "first" in files.read_file("notes.txt")

"""File tools: what is in the folder can be read, and nothing else can, whoever changes the tree meanwhile."""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from file_houses import SECRET, house_in, outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import Context, Tool, ToolFailed, ToolRegistry, load_tools
from agentkit.tools.files import Files

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux: /proc, and file names that are not text")


@pytest.fixture(params=["by name", "by path"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of opening: as on POSIX, and as where Python cannot open a name within a folder (Windows)."""
    if request.param == "by path":
        monkeypatch.setattr(os, "supports_dir_fd", set())
    return str(request.param)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files and with every kind of way out, beside a secret."""
    top = tmp_path_factory.mktemp("house")
    root = house_in(top)
    (root / "docs" / "deep" / "end.txt").write_text("The End\n", encoding="utf-8")
    (root / ".hidden").write_text("hidden, not secret\n", encoding="utf-8")
    (top / "root-and-more").mkdir()
    (top / "root-and-more" / "key.txt").write_text(SECRET, encoding="utf-8")
    (root / "relative-link").symlink_to("../secret/key.txt")
    (root / "loop").symlink_to("loop")
    return root


def test_a_folder_is_listed(house: Path, means: str) -> None:
    """In order, folders with a slash, files with their size, links as what they are."""
    assert Files(house).list_files().splitlines() == [
        ".hidden (19 bytes)",
        "docs/",
        "file-link (link, not readable)",
        "folder-link (link, not readable)",
        "inside-link (link, not readable)",
        "loop (link, not readable)",
        "notes.txt (23 bytes)",
        "relative-link (link, not readable)",
        "up-link (link, not readable)",
    ]
    assert Files(house).list_files("docs/deep/") == "end.txt (8 bytes)"


@pytest.mark.parametrize("path", ["docs/guide.md", "./docs/guide.md", "docs//guide.md", "docs/./guide.md"])
def test_a_file_is_read(house: Path, means: str, path: str) -> None:
    """However the path inside is written; the root may be a string."""
    assert Files(str(house)).read_file(path) == "# Guide\nRead the notes.\n"


def test_words_are_found_in_all_files(house: Path, means: str) -> None:
    """With file and line, in names too, not behind links, with or without regard to case."""
    files = Files(house)
    assert files.find_in_files("line") == "notes.txt:1: first line\nnotes.txt:2: second line"
    assert files.find_in_files("notes") == "notes.txt\ndocs/guide.md:2: Read the notes."
    assert files.find_in_files("end", ignore_case=True) == "docs/deep/end.txt\ndocs/deep/end.txt:1: The End"
    assert files.find_in_files("end", "docs/deep") == "docs/deep/end.txt"
    assert files.find_in_files("treasure") == "[nothing found]"


OUT = [
    "/etc/passwd",
    "//etc/passwd",
    "..",
    "../secret/key.txt",
    "docs/../../secret/key.txt",
    "docs/../notes.txt/../../secret/key.txt",
    "./../secret/key.txt",
    "../root-and-more/key.txt",
    "../root/notes.txt",
    "docs/..",
    "file-link",
    "./file-link",
    "relative-link",
    "inside-link",
    "folder-link",
    "folder-link/key.txt",
    "folder-link/../secret/key.txt",
    "up-link",
    "up-link/secret/key.txt",
    "docs/round/round/guide.md",
    "loop",
    "loop/notes.txt",
    "notes.txt/",
    "notes.txt/..",
    "notes.txt/x",
    "notes.txt\0",
    "\0",
    "docs/guide.md\0.png",
    "~",
    "~/.ssh/id_rsa",
    "$HOME",
    "..\\secret\\key.txt",
    "C:\\Windows\\win.ini",
    "\\\\server\\share",
    "file:///etc/passwd",
    "%2e%2e/secret/key.txt",
    "..%2fsecret/key.txt",
    "\u2024\u2024/secret/key.txt",
    "\uff0e\uff0e/secret/key.txt",
    "docs/\udc2e\udc2e/key.txt",
    "\ud800",
    "x" * 300,
    "x/" * 2000,
    "../" * 2000,
    "a" * 1_000_000,
    "CON",
    "nothing.txt",
]


@pytest.mark.parametrize("path", OUT, ids=lambda path: ascii(path)[:40])
def test_no_path_leads_out(house: Path, means: str, path: str) -> None:
    """Not up, not from the top, not through a link, not by another spelling; and no error names the real folder."""
    files = Files(house)
    for said in (
        outcome(lambda: files.read_file(path)),
        outcome(lambda: files.list_files(path)),
        outcome(lambda: files.find_in_files("treasure", path)),
    ):
        assert SECRET not in said
        assert str(house.parent) not in said
        assert len(said) < 400
    if path != "notes.txt/":  # the same file to Python's paths
        with pytest.raises(ToolFailed):
            files.read_file(path)


PIECES = [
    "..",
    ".",
    "/",
    "//",
    "docs",
    "deep",
    "notes.txt",
    "guide.md",
    "secret",
    "key.txt",
    "file-link",
    "\0",
    "~",
    "\\",
]
PATHS = (
    st.lists(st.sampled_from([*PIECES, "folder-link", "up-link", "round"]), max_size=8).map("/".join)
    | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
    | st.text(max_size=40)
)
INSIDE = {"first line\nsecond line\n", "# Guide\nRead the notes.\n", "The End\n", "hidden, not secret\n"}


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS)
def test_any_path_gives_a_file_inside_or_an_error(house: Path, means: str, path: str) -> None:
    """There is no third outcome."""
    said = outcome(lambda: Files(house).read_file(path))
    assert said in INSIDE or said.startswith("failed: ")
    assert SECRET not in outcome(lambda: Files(house).list_files(path))


@pytest.fixture
def door(tmp_path: Path) -> tuple[Path, Callable[[], None]]:
    """A root whose `door` is a folder one moment and a link to the secret the next; and `file` likewise."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text(SECRET, encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    places = {"folder": root / "door", "file": root / "file.txt"}
    places["folder"].mkdir()
    (places["folder"] / "key.txt").write_text("nothing to see", encoding="utf-8")
    places["file"].write_text("nothing to see", encoding="utf-8")
    links = {"folder": root / "door-link", "file": root / "file-link"}
    links["folder"].symlink_to(secret)
    links["file"].symlink_to(secret / "key.txt")

    def flip() -> None:
        for kind, place in places.items():
            aside = root / f"{kind}-aside"
            os.rename(place, aside)
            os.rename(links[kind], place)
            os.rename(place, links[kind])
            os.rename(aside, place)

    return root, flip


def test_swapping_a_link_in_does_not_lead_out(door: tuple[Path, Callable[[], None]]) -> None:
    """Between looking and opening there is no moment in which a link would be followed (CWE-367)."""
    root, flip = door
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            flip()

    files = Files(root)
    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[str] = set()
    try:
        for _ in range(4000):
            seen.add(outcome(lambda: files.read_file("door/key.txt")))
            seen.add(outcome(lambda: files.read_file("file.txt")))
    finally:
        stop.set()
        swapper.join()
    assert "nothing to see" in seen  # both were there to be met: the file,
    assert any("links are not followed" in said for said in seen)  # and the link
    assert not any(SECRET in said for said in seen)


def test_swapping_a_link_in_does_not_lead_a_search_out(door: tuple[Path, Callable[[], None]]) -> None:
    """Each folder of a search and of a list is opened in the same way."""
    root, flip = door
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            flip()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(500):
            assert SECRET not in outcome(lambda: Files(root).find_in_files("e"))
            assert "secret" not in outcome(lambda: Files(root).list_files("door"))
    finally:
        stop.set()
        swapper.join()


def test_a_pipe_is_not_waited_for(tmp_path: Path, means: str) -> None:
    """Nobody writes into it: reading would never end."""
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: outcome(lambda: Files(tmp_path).read_file("pipe")))
        try:
            assert "is a device or a pipe" in reading.result(timeout=10)
        finally:
            os.close(os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK))  # lets a waiting reader go
    assert Files(tmp_path).find_in_files("pipe") == "[nothing found]"
    assert Files(tmp_path).list_files() == "pipe (device or pipe, not readable)"


def test_devices_and_sockets_are_not_files(tmp_path: Path, means: str) -> None:
    """/dev/zero has no end."""
    with pytest.raises(ToolFailed, match="is a device or a pipe"):
        Files("/dev").read_file("zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(ToolFailed):
            Files(tmp_path).read_file("socket")


@on_linux
def test_the_kernels_own_links_are_not_followed() -> None:
    """Not even those in /proc, which open whatever the process has open."""
    for path in ("self/root/etc/passwd", "self/cwd", "self/fd/0", "self/environ"):
        with pytest.raises(ToolFailed):
            Files("/proc").read_file(path)


def test_a_hard_link_is_the_file_itself(tmp_path: Path) -> None:
    """A known gap, and said in the module: no program can tell that a file has another name outside."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside.txt").write_text("shared", encoding="utf-8")
    os.link(tmp_path / "outside.txt", tmp_path / "root" / "inside.txt")
    assert Files(tmp_path / "root").read_file("inside.txt") == "shared"


def test_the_root_itself_may_be_a_link(house: Path, means: str, tmp_path: Path) -> None:
    """It is the caller's choice, not the model's."""
    (tmp_path / "here").symlink_to(house)
    assert Files(tmp_path / "here").read_file("docs/deep/end.txt") == "The End\n"


def test_a_missing_root_is_told_without_its_path(tmp_path: Path) -> None:
    """The model can only pass it on, and learns nothing about the machine."""
    with pytest.raises(ToolFailed, match="the tool's own folder cannot be opened") as error:
        Files(tmp_path / "gone").list_files()
    assert str(tmp_path) not in str(error.value)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("aé€🙂\n", min_size=1, max_size=50), st.integers(40_000, 200_000))
def test_a_long_file_is_read_in_parts(tmp_path: Path, piece: str, size: int) -> None:
    """Each part says where to read on; together they are the file, with no character cut in two."""
    text = piece * (size // len(piece.encode()))
    (tmp_path / "long.txt").write_text(text, encoding="utf-8", newline="")
    parts: list[str] = []
    offset = 0
    while True:
        part = Files(tmp_path).read_file("long.txt", offset)
        note = re.search(r"\n\[cut at byte (\d+) of (\d+); read on with offset=(\d+)\]$", part)
        if note is None:
            break
        assert note[2] == str(len(text.encode()))
        assert offset < int(note[1]) == int(note[3]) <= offset + 50_000
        parts.append(part[: note.start()])
        offset = int(note[3])
    assert "".join([*parts, part]) == text


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b"", "[the file is empty]"),
        (b"caf\xe9 \xff!", "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}!"),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_any_text_can_be_read(tmp_path: Path, content: bytes, read: str) -> None:
    """Bytes that are not UTF-8 are replaced, not refused."""
    (tmp_path / "file").write_bytes(content)
    assert Files(tmp_path).read_file("file") == read


@pytest.mark.parametrize("content", [b"\x7fELF\0\1", "text".encode("utf-16"), b"x" * 40_000 + b"\0"])
def test_what_is_not_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """A model has no use for it."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ToolFailed, match="'file' is not a text file"):
        Files(tmp_path).read_file("file")
    assert "1 files skipped" in Files(tmp_path).find_in_files("x")


@pytest.mark.parametrize("offset", [-1, 24, 10**30])
def test_an_offset_lies_in_the_file(house: Path, offset: int) -> None:
    """The model learns how long the file is."""
    with pytest.raises(ToolFailed, match="outside the file; it has 23 bytes"):
        Files(house).read_file("notes.txt", offset)


def test_errors_say_what_to_do(house: Path, means: str) -> None:
    """A wrong name, a folder for a file, a file for a folder, nothing to look for."""
    files = Files(house)
    assert (
        outcome(lambda: files.read_file("gone.txt")) == "failed: there is no 'gone.txt'; list_files shows what there is"
    )
    assert outcome(lambda: files.read_file("docs")) == "failed: 'docs' is a folder; use list_files"
    assert "'notes.txt' is not a folder" in outcome(lambda: files.list_files("notes.txt"))
    assert "write the words to find" in outcome(lambda: files.find_in_files(""))


def test_a_large_folder_is_cut(tmp_path: Path, means: str) -> None:
    """500 names are enough to read, and the last line says that there are more."""
    for number in range(501):
        (tmp_path / f"{number:03}").touch()
    lines = Files(tmp_path).list_files().splitlines()
    assert lines[499] == "499 (0 bytes)"
    assert len(lines) == 501
    assert lines[500].startswith("[cut at 500 entries, there are more")


def test_a_search_is_cut(tmp_path: Path) -> None:
    """100 lines, 200 characters of each, no file over a megabyte; what was left out is said."""
    (tmp_path / "many.txt").write_text("x" * 1000 + "needle" + "y" * 1000 + "\n" + "needle\n" * 200, encoding="utf-8")
    (tmp_path / "big.txt").write_text("needle" * 200_000, encoding="utf-8")
    lines = Files(tmp_path).find_in_files("needle").splitlines()
    assert len(lines) == 102
    assert "xneedley" in lines[0]
    assert len(lines[0]) < 220
    assert lines[100] == "[1 files skipped: not text, not readable, or over 1000000 bytes]"
    assert lines[101].startswith("[cut: there is more to search")


def test_a_deep_tree_has_an_end(tmp_path: Path, means: str) -> None:
    """Forty folders down a search stops and says so; from there it goes on, and the deepest file can be read."""
    deep = tmp_path.joinpath(*["d"] * 60)
    deep.mkdir(parents=True)
    (deep / "needle.txt").write_text("at last", encoding="utf-8")
    files = Files(tmp_path)
    assert (
        files.find_in_files("needle").splitlines()[1].startswith("[cut: there is more to search; name a smaller folder")
    )
    assert files.find_in_files("at last", "d/" * 30) == f"{'d/' * 60}needle.txt:1: at last"
    assert files.read_file("d/" * 60 + "needle.txt") == "at last"


@on_linux
def test_a_file_name_cannot_pretend_to_be_two_lines(tmp_path: Path) -> None:
    """Line breaks, escape codes and bytes that are no text are shown as one strange character."""
    for name in (b"a\nb (9 bytes)", b"\x1b[2J", b"\xff\xfe", "é".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    assert sorted(Files(tmp_path).list_files().splitlines()) == sorted(
        ["a\ufffdb (9 bytes) (0 bytes)", "\ufffd[2J (0 bytes)", "\ufffd\ufffd (0 bytes)", "é (0 bytes)"]
    )
    assert len(Files(tmp_path).find_in_files("a").splitlines()) == 1


@on_linux
def test_nothing_is_left_open(house: Path, means: str) -> None:
    """Neither after a result nor after an error."""
    before = len(os.listdir("/proc/self/fd"))
    for path in OUT * 3:
        outcome(partial(Files(house).read_file, path))
        outcome(partial(Files(house).find_in_files, "x", path))
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_loaded_tools_are_for_the_current_directory(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load_tools("files")` needs no more than the directory the program is started in."""
    listing, reading, finding = load_tools("files")
    monkeypatch.chdir(house / "docs")
    assert listing() == "deep/\nguide.md (24 bytes)\nround (link, not readable)"
    assert reading("deep/end.txt") == "The End\n"
    assert finding("The End") == "deep/end.txt:1: The End"
    with pytest.raises(ToolFailed):
        reading("../notes.txt")


@pytest.mark.anyio
async def test_an_agent_gets_the_tools_of_a_folder(house: Path) -> None:
    """Three tools, whose root is not among what the model may set."""
    registry = ToolRegistry(Files(house).tools)
    assert registry.names == ["list_files", "read_file", "find_in_files"]
    assert set(registry["read_file"].parameters["properties"]) == {"path", "offset"}
    context = Context(deps=None, run_id="r", call_id="c", tool="read_file")
    assert await Tool.of(Files(house).read_file).invoke('{"path": "docs/deep/end.txt"}', context) == "The End\n"

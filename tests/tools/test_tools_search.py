"""The search tool: the passages that fit come first, whatever is asked, and as the files are now."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import Agent, Tool, ToolFailed, load_tools
from agentkit.testing import ScriptedModel, call
from agentkit.tools.search import Search

NOTHING = "[nothing found]"


def outcome(work: Callable[[], str]) -> str:
    """What the model gets to read, a result or an error."""
    try:
        return work()
    except ToolFailed as error:
        return f"failed: {error}"


def places(said: str) -> list[str]:
    """The files and lines of an answer, best first."""
    return re.findall(r"^(\S+:\d+)$", said, re.MULTILINE)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A few texts."""
    root = tmp_path / "shelf"
    write(
        root,
        returns="# Returns\n\nGoods may be returned within 30 days.\nThe customer pays the postage.\n",
        postage="# Postage\n\nA parcel of 2 kg costs 4.50.\nPostage abroad is doubled.\nPostage is paid by card.\n",
        cafe="The caf\xe9 is open at weekends. Retrying is polite.\n",
    )
    (root / "code").mkdir()
    (root / "code" / "retry_policy.py").write_text(
        "import time\n\n\ndef wait_before(attempt: int) -> float:\n    return 2.0**attempt\n", encoding="utf-8"
    )
    return root


def test_a_passage_is_found_with_file_and_line(shelf: Path) -> None:
    """The line that fits comes with what stands around it, ready to be read or quoted."""
    said = Search(shelf).search_files("doubled")
    assert said == "postage.txt:4\nPostage abroad is doubled.\nPostage is paid by card."


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("returned goods", "returns.txt:1"),
        ("how long can goods be returned?", "returns.txt:1"),
        ("postage", "postage.txt:1"),
        ("POSTAGE abroad", "postage.txt:1"),
        ("days", "returns.txt:3"),
        ("day", "returns.txt:3"),
        ("retries", "cafe.txt:1"),
        ("Cafe", "cafe.txt:1"),
        ("cafe\u0301", "cafe.txt:1"),
        ("weeke*", "cafe.txt:1"),
        ("wait_before", "code/retry_policy.py:4"),
        ("wait_before(attempt: int)", "code/retry_policy.py:4"),
        ("retry_policy", "code/retry_policy.py:1"),
        ('"customer pays"', "returns.txt:4"),
        ('"parcel of" zebra', "postage.txt:3"),
        ("4.50", "postage.txt:3"),
        ("the", "returns.txt:4"),
    ],
)
def test_the_best_passage_comes_first(query: str, first: str, shelf: Path) -> None:
    """In other forms of a word, without capitals and accents, by its beginning, as a phrase, by the file's name."""
    assert places(Search(shelf).search_files(query))[:1] == [first]


def test_what_is_not_there_is_not_found(shelf: Path) -> None:
    """And a phrase is found only just so."""
    search = Search(shelf)
    assert search.search_files("zebra") == NOTHING
    assert search.search_files('"pays customer"') == NOTHING
    assert search.search_files('"customer pays" "open at"') == NOTHING


def test_rarer_words_and_more_of_them_count_more(tmp_path: Path) -> None:
    """Of twenty files that have one word of the question, the one that has all of them is first."""
    write(tmp_path, **{f"f{number}": "The server keeps a log of requests.\n" for number in range(20)})
    write(tmp_path, wanted="It says nothing much.\n" * 40 + "\nA quota limits the requests of a tenant.\n")
    assert places(Search(tmp_path).search_files("quota on requests per tenant"))[0] == "wanted.txt:42"


def test_the_little_words_of_a_question_do_not_count(tmp_path: Path) -> None:
    """Many passages have them, and say nothing about what is asked; alone, they are what is asked for."""
    write(
        tmp_path,
        **{f"f{number}": "How do I do it, and when?\n" for number in range(3)},
        wanted="A conversation is kept.\n",
    )
    write(tmp_path, **{f"other{number}": f"Number {number}.\n" for number in range(20)})
    assert places(Search(tmp_path).search_files("How do I keep a conversation?")) == ["wanted.txt:1"]
    assert len(places(Search(tmp_path).search_files("how do"))) == 3


@pytest.mark.parametrize("begin", ["der*", "derivat*", "derivati*", "derivatio*", "derivation*", "DERIV*"])
def test_the_beginning_of_a_word_finds_it(begin: str, tmp_path: Path) -> None:
    """Though words are kept without their endings."""
    write(tmp_path, found="The derivation of a formula.\n", other="Nothing.\n")
    assert places(Search(tmp_path).search_files(begin)) == ["found.txt:1"]


def test_a_passage_is_found_in_a_long_file(tmp_path: Path) -> None:
    """Not only that the file has it: the place, and no more than can be read."""
    lines = [f"Line {number} of a long report about nothing in particular." for number in range(1, 10_001)]
    lines[7_776] = "Here is the needle."
    write(tmp_path, report="\n".join(lines), minified="var a=1;" * 50_000 + "needle_in_code();" + "b();" * 50_000)
    said = Search(tmp_path).search_files("needle")
    assert set(places(said)) == {"report.txt:7777", "minified.txt:1"}
    assert "needle_in_code" in said
    assert max(map(len, said.splitlines())) <= 200


def test_an_answer_is_short(tmp_path: Path) -> None:
    """Eight passages, three of one file, five lines of each; and that there are more is said."""
    write(tmp_path, **{f"f{number}": "apple pie\n" * 1000 for number in range(20)})
    said = Search(tmp_path).search_files("apple")
    assert len(places(said)) == 8
    assert max(said.count(f"f{number}.txt") for number in range(20)) == 3
    assert said.endswith("\n\n[the best 8; for others, write more or rarer words]")
    assert len(said) < 1000


def test_a_search_sees_the_files_as_they_are_now(shelf: Path) -> None:
    """New, changed, renamed, moved and deleted; also what changed twice in the same moment and kept its size."""
    search = Search(shelf)
    assert search.search_files("zebra") == NOTHING
    write(shelf, zoo="A zebra.\n")
    assert places(search.search_files("zebra")) == ["zoo.txt:1"]
    write(shelf, zoo="A horse.\n")
    assert search.search_files("zebra") == NOTHING
    assert places(search.search_files("horse")) == ["zoo.txt:1"]
    (shelf / "zoo.txt").rename(shelf / "farm.txt")
    assert places(search.search_files("horse")) == ["farm.txt:1"]
    (shelf / "code").rename(shelf / "source")
    assert places(search.search_files("attempt")) == ["source/retry_policy.py:4"]
    (shelf / "farm.txt").unlink()
    assert search.search_files("horse") == NOTHING


def test_a_change_that_keeps_size_and_time_is_seen(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a file that was unpacked, or whose time was set back; also long after the file was first seen."""
    monkeypatch.setattr("time.time", lambda: 5e9)
    search = Search(shelf)
    path = shelf / "old.txt"
    path.write_text("A zebra.\n", encoding="utf-8")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert places(search.search_files("zebra")) == ["old.txt:1"]
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.write_text("A horse.\n", encoding="utf-8")
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert search.search_files("zebra") == NOTHING
    assert places(search.search_files("horse")) == ["old.txt:1"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_index_is_what_a_new_one_would_be(tmp_path: Path, data: st.DataObject) -> None:
    """After any changes, a search that has been used before answers as one that has not."""
    words = ["apple", "pear", "plum"]
    search = Search(tmp_path)
    for _ in range(data.draw(st.integers(1, 5))):
        for name in data.draw(st.lists(st.sampled_from(["a", "b", "c/d", "c/e"]), max_size=3)):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            text = data.draw(
                st.lists(st.sampled_from(words), max_size=4).map("\n".join) | st.just("apple\0") | st.none()
            )
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text, encoding="utf-8")
        for word in words:
            fresh = Search(tmp_path).search_files(word)
            assert sorted(places(search.search_files(word))) == sorted(places(fresh))


PIECES = [
    *"\"*()+-^:{},\\%;'\0\x02\u200b\ud800  ",
    "AND",
    "OR",
    "NOT",
    "NEAR(",
    "body:",
    "--",
    "rank",
    "goods",
    "東京",
    "e\u0301",
]
QUERIES = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
SHARED: dict[str, Search] = {}


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(QUERIES)
def test_any_query_is_answered(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    """Nothing that a model writes is an error of syntax, and none of it is a command."""
    if not SHARED:
        root = tmp_path_factory.mktemp("any")
        write(root, goods="Goods are good. 東京\n", other="Nothing.\n")
        SHARED[""] = Search(root)
    said = outcome(lambda: SHARED[""].search_files(query))
    if said.startswith("failed: "):
        assert said == "failed: there are no words in the query; write what the passage may say"
        assert not re.search("goods|path|東京", query)
    else:
        assert said == NOTHING or places(said)


@pytest.mark.parametrize(
    "query", ["goods " * 100_000, '"' * 100_000, '"goods" ' * 10_000, "x" * 1_000_000, "東" * 100_000]
)
def test_a_huge_query_is_answered(query: str, shelf: Path) -> None:
    """Without being counted as huge by SQLite."""
    assert outcome(lambda: Search(shelf).search_files(query))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京都庁は新宿にあります。", "新宿"),
        ("東京都庁は新宿にあります。", "都庁はどこですか"),
        ("東京都庁は新宿にあります。", '"新宿に"'),
        ("データベースの接続", "ベース"),
        ("我们在北京的办公室", "北京"),
        ("我们在北京的办公室", "办公室在哪里"),
        ("서울에서 만나요", "서울"),
        ("สวัสดีครับ ยินดีต้อนรับ", "ยินดี"),
        ("𠮷野家で食べた", "𠮷野"),
        ("Ärger mit Straßen", "arger"),
        ("Привет, мир", "ПРИВЕТ"),
        ("مرحبا بالعالم", "مرحبا"),
        ("naïve résumé", "resume"),
        ("Version2東京", "東京"),
        ("emoji 🙂 smile", "smile"),
    ],
)
def test_words_of_any_script_are_found(text: str, query: str, tmp_path: Path) -> None:
    """Where no space stands between words, too; the text comes back as it is."""
    write(tmp_path, found=f"first\n{text}\n", other="nothing of it\n")
    assert Search(tmp_path).search_files(query) in {f"found.txt:1\nfirst\n{text}", f"found.txt:2\n{text}"}


def test_an_order_of_letters_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Single letters of a script without spaces are not enough."""
    write(tmp_path, found="京東\n")
    assert Search(tmp_path).search_files("東京") == NOTHING
    assert Search(tmp_path).search_files("京") == "found.txt:1\n京東"


def test_only_the_folders_own_texts_are_searched(shelf: Path) -> None:
    """Not behind links, not in hidden folders, in no pipe, and in nothing that is not text or too large."""
    secret = shelf.parent / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("treasure", encoding="utf-8")
    (shelf / "link").symlink_to(secret)
    (shelf / "link.txt").symlink_to(secret / "key.txt")
    (shelf / ".git").mkdir()
    (shelf / ".git" / "config").write_text("treasure", encoding="utf-8")
    (shelf / ".env").write_text("treasure", encoding="utf-8")
    (shelf / "binary").write_bytes(b"treasure\0")
    (shelf / "large").write_text("treasure " * 200_000, encoding="utf-8")
    os.mkfifo(shelf / "pipe")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(Search(shelf).search_files, "treasure").result(timeout=10) == NOTHING
    (shelf / "latin").write_bytes(b"caf\xe9 treasure")
    assert places(Search(shelf).search_files("treasure")) == ["latin:1"]


def test_any_file_name_can_be_told(shelf: Path) -> None:
    """In one line, whatever is in it."""
    for name in (b"new\nline", b"latin-\xe9", "東京".encode(), b"spaces in it"):
        (Path(os.fsdecode(os.path.join(os.fsencode(shelf), name)))).write_text("zebra", encoding="utf-8")
    said = Search(shelf).search_files("zebra")
    assert set(re.split("\n+", said)) == {"new\ufffdline:1", "latin-\ufffd:1", "東京:1", "spaces in it:1", "zebra"}


def test_a_missing_folder_is_told_without_its_path(tmp_path: Path) -> None:
    """The model can only pass it on."""
    assert outcome(lambda: Search(tmp_path / "gone").search_files("x")).startswith("failed: the tool's own folder")


def test_a_folder_that_is_too_large_is_searched_in_part(tmp_path: Path) -> None:
    """5,000 files; that there are more is said."""
    (tmp_path / "0.txt").write_text("zebra", encoding="utf-8")
    for number in range(5_001):
        os.link(tmp_path / "0.txt", tmp_path / f"{number:05}")
    assert Search(tmp_path).search_files("horse").endswith("[the folder is too large, not all of it was searched]")


def test_two_thousand_files_are_searched(tmp_path: Path) -> None:
    """And the ones that change are taken up one by one."""
    for number in range(2_000):
        (tmp_path / f"{number:04}.txt").write_text(f"common words, and number{number} alone\n", encoding="utf-8")
    search = Search(tmp_path)
    assert places(search.search_files("number1234")) == ["1234.txt:1"]
    (tmp_path / "1234.txt").write_text("changed\n", encoding="utf-8")
    assert search.search_files("number1234") == NOTHING
    assert places(search.search_files("changed common"))[0] == "1234.txt:1"


@pytest.mark.anyio
async def test_many_runs_search_at_once(shelf: Path) -> None:
    """Twenty runs of an agent share an index, while files come and go; each finds what is there."""
    search = Search(shelf)
    found: list[str] = []

    async def ask(number: int) -> None:
        (shelf / f"new-{number}.txt").write_text("Nothing to see.\n", encoding="utf-8")
        model = ScriptedModel([[call("search_files", query="postage abroad")], "Done."])
        result = await Agent(model, tools=search.tools).run("Go.")
        found.append(result.messages[2].content)  # type: ignore[union-attr, arg-type]

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, number)
    assert [places(said)[0] for said in found] == ["postage.txt:1"] * 20


def test_many_threads_search_at_once(shelf: Path) -> None:
    """A hundred searches of one index, by twenty threads, while a file changes."""
    search = Search(shelf)

    def ask(number: int) -> str:
        if number % 5 == 0:
            write(shelf, changing=f"word{number}\n")
        return places(search.search_files("doubled"))[0]

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, range(100))) == {"postage.txt:4"}


def test_nothing_is_written_into_the_folder_or_beside_it(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index has no name: it cannot be found by others, and is gone with its process."""
    temporary = shelf.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    write(shelf, **{f"f{number}": f"word{number} " * 20_000 for number in range(100)})
    before = sorted(shelf.rglob("*"))
    search = Search(shelf)
    assert set(places(search.search_files("word7"))) == {"f7.txt:1"}
    assert sorted(shelf.rglob("*")) == before
    assert list(temporary.iterdir()) == []


def test_an_index_ends_with_its_tool(shelf: Path) -> None:
    """Without a warning, and without an open file left."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not list open files")
    script = """
import os, sys
from agentkit.tools.search import Search
before = len(os.listdir("/proc/self/fd"))
for _ in range(20):
    Search(sys.argv[1]).search_files("postage")
print(len(os.listdir("/proc/self/fd")) - before)
kept = Search(sys.argv[1])
kept.search_files("postage")
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script, shelf],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_where_sqlite_has_no_full_text_search_that_is_told(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or where its disk is full: the model is told, the run goes on."""

    def broken(*_: object, **__: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr(sqlite3, "connect", broken)
    said = outcome(lambda: Search(shelf).search_files("postage"))
    assert said == "failed: the search index does not work here (no such module: fts5); tell the user"


def test_the_search_by_its_name_only_reads(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `load_tools("search")` gives searches the current folder, also after that has changed."""
    [search_files] = load_tools("search")
    told = Tool.of(search_files)
    assert (told.name, told.policy.effects, told.policy.approval) == ("search_files", "read", False)
    monkeypatch.chdir(shelf)
    assert places(search_files("doubled")) == ["postage.txt:4"]
    monkeypatch.chdir(shelf / "code")
    assert search_files("doubled") == NOTHING
    assert places(search_files("attempt")) == ["retry_policy.py:4"]

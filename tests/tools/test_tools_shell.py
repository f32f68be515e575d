"""The shell tool: a command is run with approval, without keys, within limits; nothing of it outlives the call."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from agentkit import Agent, Tool, ToolFailed, load_tools
from agentkit.testing import ScriptedModel, call
from agentkit.tools.shell import Shell

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="of POSIX: processes in groups; elsewhere the tool refuses to run"),
]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux: /proc tells each process's environment")
LONG = 60  # seconds, where a test does not wait for them


async def outcome(shell: Shell, command: str) -> str:
    """What the model gets to read, a result or an error."""
    try:
        with anyio.fail_after(LONG):
            return await shell.run_command(command)
    except ToolFailed as error:
        return f"failed: {error}"


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent to look after it."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False


def children() -> set[str]:
    """The processes that this one has begun and not yet seen end, where the system lists them."""
    found = set[str]()
    for told in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if told.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(told.parent.name)
    return found


async def gone(*pids: str) -> bool:
    """Wait until none of these processes runs: a kill takes a moment."""
    with anyio.move_on_after(10):
        while any(alive(int(pid)) for pid in pids):
            await anyio.lowlevel.checkpoint()
        return True
    return False


async def test_what_a_command_prints_is_read_in_order(tmp_path: Path) -> None:
    """Output and errors as they came, and the exit status."""
    shell = Shell(tmp_path)
    assert await outcome(shell, "echo one; echo two >&2; echo three; exit 3") == "one\ntwo\nthree\n[exit status 3]"
    assert await outcome(shell, "true") == "[no output]\n[exit status 0]"
    assert await outcome(shell, "kill -9 $$") == "[no output]\n[ended by SIGKILL]"
    assert await outcome(shell, "yes | head -1") == "y\n[exit status 0]"


async def test_a_command_runs_in_its_folder(tmp_path: Path) -> None:
    """The folder is the caller's choice; the next command does not start where this one went."""
    (tmp_path / "inner").mkdir()
    shell = Shell(tmp_path)
    assert await outcome(shell, "ls && cd inner && ls") == "inner\n[exit status 0]"
    assert await outcome(shell, "ls") == "inner\n[exit status 0]"


async def test_keys_are_not_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the command's own nor in that of what it starts; what the caller adds is there."""
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "LD_PRELOAD_CANARY", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "canary-4711")
    monkeypatch.setenv("LANG", "C")
    said = await outcome(Shell(tmp_path, environment={"MINE": "yes"}), "env; sh -c env; set")
    assert "canary" not in said
    assert "MINE=yes" in said
    assert "LANG=C" in said
    assert f"PATH={os.environ['PATH']}" in said
    names = {line.partition("=")[0] for line in (await outcome(Shell(tmp_path), "env")).splitlines()[:-1]}
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    allowed = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}
    assert names <= {*allowed, *shells_own, "TERM", "AGENTKIT_COMMAND"}


@on_linux
async def test_open_files_are_not_passed_on(tmp_path: Path) -> None:
    """A database connection or a key file that this process has open is not the command's."""
    with (tmp_path / "open").open("w", encoding="utf-8") as file:
        os.set_inheritable(file.fileno(), True)
        said = await outcome(Shell(tmp_path), "ls -l /proc/self/fd")
    assert str(tmp_path / "open") not in said
    assert "/dev/null" in said


IN_A_PROCESS = """
import sys, tracemalloc
import anyio
from agentkit import ToolFailed
from agentkit.tools.shell import Shell

tracemalloc.start()
try:
    print(anyio.run(Shell(sys.argv[1], bytes=100).run_command, sys.argv[2]))
except ToolFailed as error:
    print("failed:", str(error).splitlines()[-1])
print(tracemalloc.get_traced_memory()[1])
"""


def in_a_process(folder: Path, command: str) -> tuple[str, int]:
    """What is told in a process whose input stays open, and how many bytes of memory that took."""
    words = [sys.executable, "-c", IN_A_PROCESS, str(folder), command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        said, _, memory = process.stdout.read().rstrip().rpartition("\n")
    return said, int(memory)


def test_a_command_has_nothing_to_read(tmp_path: Path) -> None:
    """It sees the end of its input at once, though ours goes on, and there is no terminal to ask on."""
    assert in_a_process(tmp_path, "cat; read answer; echo got:$answer")[0] == "got:\n[exit status 0]"
    assert "[exit status 0]" not in in_a_process(tmp_path, "echo password? > /dev/tty")[0]


HARD_TO_STOP = {
    "itself": "echo $$; exec sleep 1000",
    "children": "echo $$; sleep 1000 & echo $!; sleep 1000",
    "deaf": "trap '' TERM HUP; echo $$; (trap '' TERM HUP; sleep 1000; sleep 1000) & echo $!; sleep 1000; sleep 1000",
    "grandchildren": "echo $$; (sh -c 'sleep 1000 & echo $!; wait' & echo $!; wait) & echo $!; wait",
    "cleaned": "echo $$; env -i /bin/sh -c 'trap \"\" TERM; echo $$; /bin/sleep 1000; /bin/sleep 1000' & sleep 1000",
    "silent": "echo $$; exec >/dev/null 2>&1; sleep 1000",
    "stopped": "echo $$; kill -STOP $$",
    "nohup": "echo $$; nohup sleep 1000 & echo $!; wait",
}
OF_ANOTHER_SESSION = {
    "setsid": "echo $$; setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000",
    "daemon": "echo $$; setsid -f sh -c 'setsid -f sh -c \"echo \\$\\$; exec sleep 1000\"; sleep 1000'; sleep 1000",
}


@pytest.mark.parametrize(
    "command",
    [
        *(pytest.param(command, id=name) for name, command in HARD_TO_STOP.items()),
        *(pytest.param(command, id=name, marks=on_linux) for name, command in OF_ANOTHER_SESSION.items()),
    ],
)
async def test_when_the_time_is_over_all_of_it_is_killed(command: str, tmp_path: Path) -> None:
    """The model reads what was printed until then; nothing that was started goes on, whatever it does."""
    for seconds in (0.2, 1, 5, 30):  # as long as a busy machine needs to start it all
        said = await outcome(Shell(tmp_path, seconds=seconds), command)
        *pids, end = said.removeprefix("failed: ").splitlines()
        assert end == f"[stopped, with all it had started: {seconds} seconds were over]"
        assert await gone(*pids)
        if len(pids) == command.count("echo "):
            return
    pytest.fail(said)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("sleep 1000 & echo $!", id="background"),
        pytest.param("(trap '' TERM HUP; sleep 1000; sleep 1000) & echo $!", id="deaf"),
        pytest.param("setsid -f sh -c 'echo $$; exec sleep 1000'; sleep 0.2", id="daemon", marks=on_linux),
    ],
)
async def test_what_a_command_leaves_running_is_stopped_and_not_waited_for(command: str, tmp_path: Path) -> None:
    """A background job that holds the output open ends with its command."""
    [pid, end] = (await outcome(Shell(tmp_path, seconds=LONG), command)).splitlines()
    assert end == "[exit status 0; what it left running was stopped]"
    assert await gone(pid)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("(trap '' TERM INT HUP; sleep 1000; sleep 1000) & echo $!", id="deaf"),
        pytest.param("setsid -f sh -c 'echo $$; echo > ready; sleep 1000'", id="daemon", marks=on_linux),
    ],
)
async def test_a_cancelled_run_kills_its_command(start: str, tmp_path: Path) -> None:
    """Nothing goes on behind the back of who cancelled; when the run has ended, so has the command."""
    os.mkfifo(tmp_path / "ready")
    tell = "" if "ready" in start else "echo > ready; "
    command = f"trap '' TERM INT HUP; {{ echo $$; {start}; }} > pids; {tell}sleep 1000; sleep 1000"
    model = ScriptedModel([[call("run_command", command=command)], "Done."])

    async def yes(_: object) -> bool:
        return True

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            agent = Agent(model, tools=Shell(tmp_path, seconds=LONG).tools)
            group.start_soon(lambda: agent.run("Go.", approve=yes))
            await anyio.to_thread.run_sync((tmp_path / "ready").read_bytes)
            group.cancel_scope.cancel()
    assert await gone(*(tmp_path / "pids").read_text(encoding="utf-8").split())


async def test_a_call_needs_a_yes(tmp_path: Path) -> None:
    """Without an approver a command is refused, and the model is told; with one it runs."""
    asked: list[str] = []

    async def yes(approval: object) -> bool:
        asked.append(approval.arguments["command"])  # type: ignore[attr-defined]
        return True

    for tools in (Shell(tmp_path).tools, Shell(tmp_path, ("touch",)).tools):
        model = ScriptedModel([[call("run_command", command="touch made")], "Done."] * 2)
        agent = Agent(model, tools=tools)
        refused = await agent.run("Go.")
        assert refused.messages[2].is_error  # type: ignore[union-attr]
        assert not (tmp_path / "made").exists()
        await agent.run("Go.", approve=yes)
        assert (tmp_path / "made").exists()
        (tmp_path / "made").unlink()
    assert asked == ["touch made"] * 2


def test_the_shell_by_its_name_still_asks() -> None:
    """What `load_tools("shell")` gives is in no agent that does not name it, and runs nothing by itself."""
    [run_command] = load_tools("shell")
    policy = Tool.of(run_command).policy
    assert (policy.effects, policy.approval, policy.sequential) == ("destructive", True, True)


async def test_a_flood_is_cut_and_stopped(tmp_path: Path) -> None:
    """The beginning and the end are kept; what prints without end is killed long before its time is over."""
    shell = Shell(tmp_path, seconds=LONG, bytes=100)
    said = await outcome(shell, "seq 1 100000")
    assert said.startswith("1\n2\n3\n")
    assert said.endswith("99999\n100000\n[exit status 0]")
    assert "\n[588795 bytes left out]\n" in said
    flood = await outcome(shell, "yes")
    assert flood.endswith("[stopped, with all it had started: it printed over 100000000 bytes]")
    assert len(flood) < 300


def test_a_flood_does_not_fill_the_memory(tmp_path: Path) -> None:
    """What is kept while it prints is bounded as well."""
    said, memory = in_a_process(tmp_path, "yes 0123456789012345678901234567890123456789012345678901234567890")
    assert said == "failed: [stopped, with all it had started: it printed over 100000000 bytes]"
    assert memory < 10_000_000


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (r"printf 'caf\351 \377!'", "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}!\n[exit status 0]"),
        (r"printf '\177ELF\000\001'", "[6 bytes that are not text]\n[exit status 0]"),
        (r"printf '\342\202\254'", "€\n[exit status 0]"),
    ],
)
async def test_any_output_is_told(command: str, said: str, tmp_path: Path) -> None:
    """Bytes that are no text are named, not shown."""
    assert await outcome(Shell(tmp_path), command) == said


async def test_a_cut_does_not_halve_a_character(tmp_path: Path) -> None:
    """Neither the last one before it nor the first one after it."""
    said = await outcome(Shell(tmp_path, bytes=100), "for i in $(seq 100); do printf €; done")
    assert said == "€" * 16 + "\n[200 bytes left out]\n" + "€" * 16 + "\n[exit status 0]"


async def test_a_command_that_is_missing_is_named(tmp_path: Path) -> None:
    """By the shell, or by us where there is none."""
    assert "[exit status 127]" in await outcome(Shell(tmp_path), "no-such-program")
    listed = Shell(tmp_path, ("no-such-program",))
    assert await outcome(listed, "no-such-program -x") == "failed: there is no program 'no-such-program' here"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("a\0b", "the command cannot be run: it holds characters that no program can be given"),
        ("echo \ud800", "the command cannot be run: it holds characters that no program can be given"),
        ("x" * 1_000_000, "the command has over 30000 characters; put what is long into a file"),
    ],
)
async def test_a_command_that_cannot_be_run_is_refused(command: str, why: str, tmp_path: Path) -> None:
    """And no file stays open."""
    before = len(os.listdir("/dev/fd"))
    assert await outcome(Shell(tmp_path), command) == f"failed: {why}"
    assert await outcome(Shell(tmp_path, ("ls",)), f"ls '{command}'") == f"failed: {why}"
    assert len(os.listdir("/dev/fd")) == before


async def test_a_missing_folder_is_told_without_its_path(tmp_path: Path) -> None:
    """The model can only pass it on."""
    said = await outcome(Shell(tmp_path / "gone"), "ls")
    assert said == "failed: the tool's own folder cannot be opened; tell the user"


async def test_listed_programs_run_without_a_shell(tmp_path: Path) -> None:
    """What a shell would read as more is a word like any other."""
    shell = Shell(tmp_path, ("echo", "ls"))
    assert (
        await outcome(shell, "echo 'a  b' $HOME * ; rm -rf / | x > y")
        == "a  b $HOME * ; rm -rf / | x > y\n[exit status 0]"
    )
    for refused in ("rm x", "./echo a", "/bin/echo a", "A=1 echo a", "(echo a)", "", "  ", "\n", "env echo a"):
        assert await outcome(shell, refused) == "failed: only these programs may be run, each by itself: echo, ls"
    assert await outcome(shell, "echo 'a") == "failed: the command cannot be read: No closing quotation"
    assert not os.listdir(tmp_path)
    [listed] = shell.tools
    assert Tool.of(listed).name == "run_command"
    assert "echo, ls" in Tool.of(listed).description
    assert Tool.of(listed).policy == Tool.of(shell.run_command).policy
    with pytest.raises(TypeError, match="write the programs as a tuple"):
        Shell(tmp_path, "ls")


async def test_many_commands_run_at_once(tmp_path: Path) -> None:
    """Each gets its own output, no file stays open, and no ended process waits to be looked after."""
    before, kept = len(os.listdir("/dev/fd")), children()
    said: dict[int, str] = {}

    async def run(number: int) -> None:
        said[number] = await outcome(Shell(tmp_path), f"echo {number}; sleep 1000 & true")

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(run, number)
    left = "[exit status 0; what it left running was stopped]"
    assert said == {number: f"{number}\n{left}" for number in range(30)}
    assert len(os.listdir("/dev/fd")) <= before + 2  # an event loop's own
    assert children() == kept
    ended = 0
    with suppress(ChildProcessError):  # raised where there are no children at all; another test's may go on
        ended, _ = os.waitpid(-1, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)
    assert ended == 0

"""`code_interpreter`: Python that a model writes, in a sandbox, with files in and out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Served, serving

from agentkit import ModelSettings, ToolResult, UserMessage
from agentkit.server.desk import Server
from agentkit.server.engine import Engine, Findings, Work
from agentkit.server.errors import ApiError
from agentkit.server.files import citations
from agentkit.testing import call

pytest.importorskip("pydantic_monty", reason="scripts: pip install pydantic-monty")

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


def script(*codes: str) -> list[Any]:
    """A model that runs these one after the other."""
    return [*([replace(call("code_interpreter", code=code), id=f"call_{n}")] for n, code in enumerate(codes)), "Done."]


async def ran(served: Served, files: list[str], **spelled: Any) -> tuple[list[ToolResult], Findings]:
    """What the model was told, and what its scripts have given."""
    server: Server = served.app.state.server
    work = Work(
        model="m",
        tenant="local",
        history=[UserMessage(content="Sum it up.")],
        settings=ModelSettings(),
        hosted=[{"type": "code_interpreter", **spelled}],
        resources={"file_ids": files},
    )
    findings = Findings(work=work)
    async with server.part(Engine).stream(work, findings) as stream:
        async for _ in stream:
            pass
        return [each for each in stream.result.messages if isinstance(each, ToolResult)], findings


SUM = """
import csv
with open("/mnt/data/sales.csv") as file:
    rows = list(csv.DictReader(file))
total = sum(int(row["units"]) for row in rows)
with open("/mnt/data/total.txt", "w") as file:
    file.write(f"total {total}")
print("rows", len(rows))
total
"""


async def test_a_script_reads_the_users_files_and_writes_others(tmp_path: Path) -> None:
    """What it writes is a file of the user's, which the answer can link to, and which the next script can read."""
    second = 'print(open("/mnt/data/total.txt").read())'
    async with serving(tmp_path, script(SUM, second), code_interpreter=True) as served, served.client() as client:
        file = await client.files.create(file=("sales.csv", b"units\n3\n4\n"), purpose="assistants")
        told, findings = await ran(served, [file.id])
        assert told[0].content.startswith("rows 2\n7\n[/mnt/data/total.txt is kept")
        assert told[1].content == "total 7"
        assert findings.outputs == {
            "call_0": [{"type": "logs", "logs": "rows 2\n7"}],
            "call_1": [{"type": "logs", "logs": "total 7\n"}],
        }
        written = findings.written["/mnt/data/total.txt"]
        kept = await client.files.retrieve(written)
        assert (kept.filename, kept.purpose) == ("total.txt", "assistants_output")
        assert (await client.files.content(written)).read() == b"total 7"
        said = "Here: [total](sandbox:/mnt/data/total.txt)."
        assert citations(said, findings) == [
            {
                "type": "file_path",
                "text": "sandbox:/mnt/data/total.txt",
                "start_index": 14,
                "end_index": 41,
                "file_path": {"file_id": written},
            }
        ]


async def test_a_script_that_does_harm_is_ended_and_the_model_reads_why(tmp_path: Path) -> None:
    """It reaches no file of the server's, takes only so much memory, and shows only so much."""
    codes = {
        'open("/etc/passwd").read()': "No such file",
        "import socket": "No module named 'socket'",
        "import os\nprint(os.environ)\nos.system('id')": "os",
        "x = 'a' * 1000\nwhile True:\n    x = x + x": "MemoryError",
        "def f():\n    return f()\nf()": "RecursionError",
        "1 / 0": "ZeroDivisionError",
        "def": "SyntaxError",
        "for _ in range(3000):\n    print('x' * 100)": "[cut: it printed more than 20000 characters]",
    }
    async with serving(tmp_path, script(*codes), code_interpreter=True) as served:
        told, findings = await ran(served, [])
        for result, (code, part) in zip(told, codes.items(), strict=True):
            assert part in result.content, (code, result.content)
            assert len(result.content) < 21_000
        assert len(findings.outputs) == len(codes)
        assert findings.written == {}


async def test_two_files_of_one_name_can_both_be_read(tmp_path: Path) -> None:
    """And a name that is a path leads nowhere else."""
    code = 'import os\nprint(sorted(os.listdir("/mnt/data")))'
    async with serving(tmp_path, script(code), code_interpreter=True) as served, served.client() as client:
        names = ["a.txt", "a.txt", "../../etc/x"]
        ids = [(await client.files.create(file=(name, b"x"), purpose="assistants")).id for name in names]
        told, _ = await ran(served, ids[:2], container={"type": "auto", "file_ids": ids[2:]})
        assert told[0].content == str(sorted(["a.txt", f"{ids[1]}-a.txt", "_.._etc_x"]))


async def test_no_code_runs_on_a_server_that_was_not_told_to(tmp_path: Path) -> None:
    """And the client is told how that is done."""
    async with serving(tmp_path, script("1")) as served:
        with pytest.raises(ApiError, match="--code-interpreter"):
            await ran(served, [])

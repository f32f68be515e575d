"""The openai SDK's own tests against agentkit's server: `python tests/proofs/sdk.py [AREA ...]`.

They come with the SDK's source distribution, of the version that is installed here. They name objects that are not
there, since they are written for a mock: the proxy makes each of them first (proxy.py, real_ids.py).
"""

import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

from processes import ENVIRONMENT, HERE, pip, say, shop, started, workshop

AREAS = {
    "assistants": ["beta/test_assistants.py"],
    "threads": ["beta/test_threads.py"],
    "messages": ["beta/threads/test_messages.py"],
    "runs": ["beta/threads/test_runs.py"],
    "steps": ["beta/threads/runs/test_steps.py"],
    "vector_stores": ["test_vector_stores.py", "vector_stores"],
    "files": ["test_files.py"],
    "uploads": ["test_uploads.py", "uploads"],
    "responses": ["test_responses.py", "responses"],
    "conversations": ["test_conversations.py", "conversations"],
    "chat": ["chat"],
    "models": ["test_models.py"],
}
CANNOT = {
    "no client can make a model here, so none can be deleted": r"test_models\.\w+\.test_\w+_delete$",
    "chat completions are not kept": r"chat\.test_completions\.\w+\.test_\w+_(retrieve|update|list|delete)"
    r"|chat\.completions\.test_messages\.",
}
"""Tests that may fail, and why."""
_MODEL = "gpt-4.1"
_SECONDS = 300
"""How long the tests of one area may take."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of the tests of one area."""

    passed: int
    skipped: int
    cannot: Counter[str]
    """How many cannot pass, by the reason."""
    failed: Counter[str]
    """How many have failed, by what is told of them."""

    def __str__(self) -> str:
        told = [f"{self.passed} passed"]
        told += [f"{self.skipped} skipped"] if self.skipped else []
        told += [f"{count} cannot pass ({why})" for why, count in self.cannot.items()]
        told += [f"{self.failed.total()} FAILED"] if self.failed else []
        return ", ".join(told)


def prove(only: Sequence[str] = ()) -> bool:
    """Run the tests, one area after the other; whether all pass that can."""
    areas = {name: files for name, files in AREAS.items() if not only or name in only}
    with workshop() as folder:
        say(f"The tests of openai {version('openai')}:")
        sdk = source(folder)
        with shop() as given, started(HERE / "proxy.py", *given, _MODEL, folder / "refused.log") as proxy:
            outcomes = [_told(name, _run(sdk, files, proxy, folder)) for name, files in areas.items()]
    return all(outcome.passed and not outcome.failed for outcome in outcomes)


def source(folder: Path) -> Path:
    """The SDK's source distribution, unpacked."""
    name = f"openai-{version('openai')}"
    if not (folder / name).exists():
        wanted = name.replace("-", "==")
        pip(Path(sys.executable), "download", "--no-deps", "--no-binary", "openai", "--dest", str(folder), wanted)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(folder)
    return folder / name


def _run(sdk: Path, files: Sequence[str], proxy: str, folder: Path) -> Outcome:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    options = [
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "--show-capture=no",
        f"--junit-xml={report}",
    ]
    paths = [f"tests/api_resources/{file}" for file in files]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=sdk,
        env=ENVIRONMENT | {"TEST_API_BASE_URL": proxy},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        timeout=_SECONDS,
    )
    if not report.exists():
        raise RuntimeError(f"pytest has not run:\n{told.stdout}")
    return _read(report)


def _read(report: Path) -> Outcome:
    passed, skipped, cannot, failed = 0, 0, Counter[str](), Counter[str]()
    for case in ET.parse(report).iter("testcase"):
        wrong = next((each for each in case if each.tag in {"failure", "error"}), None)
        test = f"{case.get('classname')}.{case.get('name')}".partition("api_resources.")[2].partition("[")[0]
        if wrong is None:
            is_skipped = case.find("skipped") is not None
            passed, skipped = passed + (not is_skipped), skipped + is_skipped
        elif why := next((why for why, tests in CANNOT.items() if re.match(tests, test)), None):
            cannot[why] += 1
        else:
            message = (wrong.get("message") or wrong.text or "").strip().partition("\n")[0]
            failed[f"{test}: {re.sub('_?[0-9a-f]{24}', '', message):.300}"] += 1
    return Outcome(passed=passed, skipped=skipped, cannot=cannot, failed=failed)


def _told(area: str, outcome: Outcome) -> Outcome:
    say(f"  {area:14} {outcome}")
    for line, count in outcome.failed.items():
        say(f"    {count} x {line}")
    return outcome


if __name__ == "__main__":
    sys.exit(not prove(sys.argv[1:]))

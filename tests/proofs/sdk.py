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
from xml.etree import ElementTree

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
CANNOT = {"api_resources.test_models.": {"method_delete", "raw_response_delete", "streaming_response_delete"}}
"""Tests that may fail, by module: the server has no models that a client could have made, so none can be deleted."""
_MODEL = "gpt-4.1"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of the tests of one area."""

    passed: int
    skipped: int
    cannot: int
    failed: Sequence[str]

    def __str__(self) -> str:
        counts = {"passed": self.passed, "skipped": self.skipped, "cannot pass": self.cannot, "FAILED": len(self.failed)}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "passed")


def prove(only: Sequence[str] = ()) -> bool:
    """Run the tests, one area after the other; whether all pass that can."""
    areas = {name: files for name, files in AREAS.items() if not only or name in only}
    with workshop() as folder:
        say(f"The tests of openai {version('openai')}:")
        sdk = source(folder)
        with shop() as given, started(HERE / "proxy.py", *given, _MODEL, folder / "refused.log") as proxy:
            outcomes = [_told(name, _run(sdk, files, proxy, folder)) for name, files in areas.items()]
    return not any(outcome.failed for outcome in outcomes)


def source(folder: Path) -> Path:
    """The SDK's source distribution, unpacked."""
    name = f"openai-{version('openai')}"
    if not (folder / name).exists():
        wanted = name.replace("-", "==")
        pip(Path(sys.executable), "download", "--no-deps", "--no-binary", "openai", "--dest", str(folder), wanted)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name


def _run(sdk: Path, files: Sequence[str], proxy: str, folder: Path) -> Outcome:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "--tb=short", "--show-capture=no", f"--junit-xml={report}"]
    paths = [f"tests/api_resources/{file}" for file in files]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=sdk,
        env=ENVIRONMENT | {"TEST_API_BASE_URL": proxy},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    if not report.exists():
        raise RuntimeError(f"pytest has not run:\n{told.stdout}")
    return _read(report)


def _read(report: Path) -> Outcome:
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 written by pytest
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    unexpected = [case for case in failed if not _cannot(case)]
    return Outcome(
        passed=len(cases) - len(failed) - skipped,
        skipped=skipped,
        cannot=len(failed) - len(unexpected),
        failed=[_line(case) for case in unexpected],
    )


def _cannot(case: ElementTree.Element) -> bool:
    test = case.get("name", "").partition("[")[0].removeprefix("test_")
    return any(module in case.get("classname", "") and test in tests for module, tests in CANNOT.items())


def _line(case: ElementTree.Element) -> str:
    """The test without its variants (loose, strict, aiohttp), and why it has failed."""
    wrong = next(each for each in case if each.tag in {"failure", "error"})
    why = (wrong.get("message") or wrong.text or "").strip().partition("\n")[0]
    test = f"{case.get('classname', '').partition('api_resources.')[2]}.{case.get('name', '').partition('[')[0]}"
    return f"{test}: {re.sub('_?[0-9a-f]{24}', '', why):.300}"


def _told(area: str, outcome: Outcome) -> Outcome:
    say(f"  {area:14} {outcome}")
    for line, count in Counter(outcome.failed).items():
        say(f"    {f'{count} x ' if count > 1 else ''}{line}")
    return outcome


if __name__ == "__main__":
    sys.exit(not prove(sys.argv[1:]))

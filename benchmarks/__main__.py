"""Compare agentkit with hand-written loops: `python -m benchmarks [--quick] [--check] [--json]`."""

import argparse
import json
import os
import platform
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from statistics import median

from . import specs, startup
from .processes import started
from .results import Table, as_json, judge, lines
from .scenarios import SCENARIOS, Scenario
from .targets import TARGETS

PACKAGES = ("agentkit", "openai", "httpx2", "aiohttp", "pydantic", "opentelemetry-sdk", "pydantic-ai-slim")

CLOCKS = {
    "cpu": "CPU time per model round trip",
    "wall": "wall time of all conversations",
    "held": "the longest time for which the event loop is held",
}


def main() -> int:
    """The command; its exit status is 1 if a target was to be checked and is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="run everything small and once, to see that it runs")
    mode.add_argument("--check", action="store_true", help="exit with status 1 if a target is missed")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    options = parser.parse_args()

    say: Callable[[str], None] = (lambda line: None) if options.json else (lambda line: print(line, flush=True))
    about = environment()
    say(", ".join(f"{name} {value}" for name, value in about.items()))
    if options.quick:
        say("Quick: everything is small and run once, so the numbers say nothing.")
    judged = []
    for table in tables(quick=options.quick):
        verdicts = [] if options.quick else judge(table, TARGETS)
        judged.append((table, verdicts))
        say("\n" + "\n".join(lines(table, verdicts)))
    if options.json:
        print(json.dumps({"environment": about, "tables": [as_json(*each) for each in judged]}, indent=2))
    missed = [verdict for _, verdicts in judged for verdict in verdicts if not verdict.met]
    return 1 if options.check and missed else 0


def tables(*, quick: bool) -> Iterator[Table]:
    """Every table, one after the other: they must not disturb each other."""
    yield start_up(repetitions=1 if quick else 15)
    yield from specs.tables(quick=quick)
    with started("benchmarks.server") as server:
        origin = f"http://127.0.0.1:{server.hear()}"
        for scenario in SCENARIOS:
            if quick:
                scenario = replace(scenario, repetitions=1, conversations=1, agents=min(scenario.agents, 20))
            yield race(scenario, origin)


def start_up(repetitions: int) -> Table:
    """The table of what it costs to begin, over and above the interpreter."""
    table = Table(
        title=startup.TITLE, what="CPU time and memory above those of the interpreter alone", baseline=startup.OPENAI
    )
    rows = [name for name in startup.PROGRAMS if name != startup.BARE]
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in startup.PROGRAMS}
    for name in startup.PROGRAMS:
        startup.measure(name)  # compiles what has not been compiled yet
    for _ in range(repetitions):
        for name in startup.PROGRAMS:
            measured[name].append(startup.measure(name))
    bare = measured[startup.BARE]
    for name in rows:
        pairs = list(zip(measured[name], bare, strict=True))
        table.costs[name] = [1000 * (one["cpu"] - alone["cpu"]) for one, alone in pairs]
        table.megabytes[name] = median(one["megabytes"] - alone["megabytes"] for one, alone in pairs)
        table.notes.append(f"{name}: {pairs[0][0]['modules'] - pairs[0][1]['modules']:.0f} modules")
    return table


def race(scenario: Scenario, origin: str) -> Table:
    """The table of one scenario: each contestant in its own process, all of them in turn, again and again."""
    what = CLOCKS[scenario.clock]
    table = Table(title=scenario.title, what=what, baseline=scenario.baseline)
    scale = 1000 / scenario.round_trips if scenario.clock == "cpu" else 1000
    spent: dict[str, list[float]] = {name: [] for name in scenario.contestants}
    served = []
    busy = []
    with ExitStack() as running:
        workers = {}
        for name in scenario.contestants:
            arguments = ("benchmarks.worker", json.dumps(asdict(scenario)), name, origin)
            workers[name] = running.enter_context(started(*arguments))
            workers[name].hear()
            table.costs[name] = []
        for _ in range(scenario.repetitions):
            for name, worker in workers.items():
                before = server_cpu(origin)
                measured = worker.ask()
                server = server_cpu(origin) - before
                served.append(1e6 * server / scenario.round_trips)
                busy.append(server / measured["wall"])
                table.costs[name].append(measured[scenario.clock] * scale)
                table.megabytes[name] = measured["megabytes"]
                spent[name].append(1000 * measured["cpu"] / scenario.round_trips)
    if scenario.clock != "cpu":
        each = ", ".join(f"{name} {median(cpu):.2f} ms" for name, cpu in spent.items())
        table.notes.append(f"CPU time per model round trip: {each}")
    table.notes.append(f"server: {median(served):.0f} us of CPU a round trip, at most {max(busy):.0%} busy")
    return table


def server_cpu(origin: str) -> float:
    """CPU seconds that the server has used so far."""
    with urllib.request.urlopen(origin) as answer:
        return float(json.load(answer)["cpu_seconds"])


def environment() -> dict[str, str]:
    """What is compared, and on what: on a busy machine, wall times mean little."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    found = {"machine": platform.machine(), "cores": str(os.cpu_count()), "load": load}
    found["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(status)

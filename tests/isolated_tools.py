"""Tools that run in a process of their own, for `test_invocation.py`. Small, since each call imports this anew."""

import ctypes
import enum
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agentkit import ToolFailed, tool
from agentkit.telemetry.propagation import inject


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Order:
    sku: str
    count: int


class Item(BaseModel):
    price: float


class Strange(Exception):
    """Cannot be pickled there and back: it takes two arguments and keeps one."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


counter = 0


@tool(isolation="process")
def kinds(order: Order, colour: Colour, items: list[Item], note: str = "none") -> str:
    """Say what has arrived."""
    assert isinstance(order, Order)
    assert isinstance(items[0], Item)
    return f"{order.sku} {order.count} {colour is Colour.RED} {items[0].price} {note}"


@tool(isolation="process")
def whereabouts() -> dict[str, Any]:
    """Say where this runs, and how often it has."""
    global counter
    counter += 1
    return {"pid": os.getpid(), "order": Order("A-1", 3), "counter": counter}


@tool(isolation="process")
def noisy() -> str:
    """Write where answers are written, and read where requests are read."""
    print("a print")
    os.write(1, b"RETURN 3\nabc")
    sys.stdout.write("more")
    subprocess.run([sys.executable, "-c", "print('a child'); input()"], stderr=subprocess.DEVNULL, check=False)
    return "said"


@tool(isolation="process")
def fails(how: str) -> Any:
    """End in one of many ways."""
    match how:
        case "error":
            raise ValueError("the shelf is empty")
        case "told":
            raise ToolFailed("ask for its code")
        case "strange":
            raise Strange("a hole", "the shelf")
        case "lock":
            return [threading.Lock()]
        case "exit":
            os._exit(3)
        case "crash":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), 9)
    return None


@tool(isolation="process")
def leaves_a_thread() -> str:
    """Return while a thread goes on."""
    threading.Thread(target=threading.Event().wait).start()
    return "done"


def stuck(folder: Path) -> None:
    """Start a program, tell both pids, and never end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    (folder / "pids.new").write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
    (folder / "pids.new").rename(folder / "pids")
    threading.Event().wait()


@tool(isolation="process")
def leaves(word: str) -> None:
    """Exit as a script does."""
    sys.exit(word)


@tool(isolation="process")
def traced() -> dict[str, Any]:
    """Give the headers that a request from here would have, and whether OpenTelemetry was loaded for that."""
    is_loaded = "opentelemetry.trace" in sys.modules
    return {"headers": inject({}), "loaded": is_loaded}

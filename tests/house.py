"""Reads the source and says where it breaks a rule of the house; `test_house.py` says what the rules are.

Each rule is a generator that takes a `House` and yields a sentence for each violation:
`file:line: what is wrong; what to do`.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

Place: TypeAlias = str | frozenset[str]
Rule: TypeAlias = "Callable[[House], Iterator[str]]"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Import:
    """One name that a module imports, wherever in the module that is."""

    lineno: int
    target: str
    """The imported module in full, as `agentkit.models.base`."""
    name: str = ""
    """What is taken out of it, if something is."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file."""

    name: str
    """As it is imported: `agentkit.models.base`."""
    file: str
    """As it is found, from the root: `agentkit/models/base.py`."""
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.file)

    @cached_property
    def package(self) -> str:
        return self.name if self.file.endswith("__init__.py") else self.name.rpartition(".")[0]

    def at(self, where: ast.AST | Import, what: str) -> str:
        """A violation."""
        return f"{self.file}:{getattr(where, 'lineno', 1)}: {what}"

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


@dataclass(frozen=True, kw_only=True)
class House:
    """A source tree, and the plan it is measured by."""

    root: Path
    layers: Mapping[str, Sequence[Place]]
    """Names of layers, lowest first, and what stands in them from left to right, without the leading `agentkit.`.

    A name is one module; with `.*` it is a package and all that is in it. Names in a set stand side by side.
    """
    doors: Mapping[str, Sequence[str]]
    """Library -> the files, or folders (with `/`), that may import it."""
    shelf: Sequence[str]
    """What a ready-made tool may take from `agentkit`."""
    banned: Mapping[str, str]
    """Call or module that must not occur -> what to use instead."""
    heavy: Sequence[str]
    """Modules that `import agentkit` must not load."""
    module_lines: int
    function_lines: int
    loop_lines: int
    parameters: int
    public_names: int

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """The product: `agentkit/`, and `tools/` under the name it is installed as."""
        return {m.name: m for m in [*self._read("agentkit", "agentkit"), *self._read("tools", "agentkit.tools")]}

    @cached_property
    def tests(self) -> Sequence[Module]:
        return list(self._read("tests", "tests"))

    def _read(self, folder: str, name: str) -> Iterator[Module]:
        for path in sorted((self.root / folder).rglob("*.py")):
            inside = path.relative_to(self.root / folder).with_suffix("").parts
            dotted = ".".join([name, *(part for part in inside if part != "__init__")])
            file = path.relative_to(self.root).as_posix()
            yield Module(name=dotted, file=file, source=path.read_text(encoding="utf-8"))

    @cached_property
    def places(self) -> Mapping[str, tuple[int, str, str]]:
        """Name on the plan -> its rank from the bottom left, its layer, itself."""
        ranked = [(layer, place) for layer, places in self.layers.items() for place in places]
        return {
            name: (rank, layer, name)
            for rank, (layer, place) in enumerate(ranked)
            for name in ([place] if isinstance(place, str) else sorted(place))
        }

    def place(self, module: str) -> tuple[int, str, str] | None:
        """Where a module stands on the plan; `None` if it does not."""
        name = module.removeprefix("agentkit.")
        parents = [name[:end] for end, letter in enumerate(name + ".") if letter == "."]
        for candidate in [name, *(f"{parent}.*" for parent in reversed(parents))]:
            if candidate in self.places:
                return self.places[candidate]
        return None

    def imports(self, module: Module) -> Iterator[Import]:
        """What a module imports: at the top, inside functions, under `TYPE_CHECKING`.

        Where `import_module` is called, whatever module the file spells out is taken to be imported.
        """
        late = "import_module(" in module.source
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(lineno=node.lineno, target=alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = absolute("." * node.level + (node.module or ""), module.package)
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    if inner in self.modules and alias.name not in self.bound_in(base):
                        yield Import(lineno=node.lineno, target=inner)
                    else:
                        yield Import(lineno=node.lineno, target=base, name=alias.name)
            elif late and isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = absolute(node.value, module.package)
                if named in self.modules or named.split(".")[0] in self.doors:
                    yield Import(lineno=node.lineno, target=named)

    def bound_in(self, package: str) -> set[str]:
        """The names a package takes from its modules: `agentkit.tool` is the decorator, not the module."""
        body = self.modules[package].tree.body if package in self.modules else []
        return {alias.name for node in body if isinstance(node, ast.ImportFrom) and node.module for alias in node.names}

    def own_imports(self, module: Module) -> Iterator[Import]:
        return (found for found in self.imports(module) if found.target.split(".")[0] == "agentkit")


def absolute(name: str, package: str) -> str:
    """`..base` seen from `agentkit.models.chat` is `agentkit.models.base`."""
    tail = name.lstrip(".")
    if up := len(name) - len(tail):
        parents = package.split(".")
        return ".".join([*parents[: len(parents) - up + 1], *([tail] if tail else [])])
    return tail


def called(node: ast.Call) -> str:
    """`time.sleep` for `time.sleep(1)`."""
    return ast.unparse(node.func)


def every_module_has_a_place(house: House) -> Iterator[str]:
    for module in house.modules.values():
        if house.place(module.name) is None:
            what = f"{module.name!r} is not on the plan; give it a place in LAYERS in tests/test_house.py"
            yield module.at(module.tree, what)


def imports_point_down_and_left(house: House) -> Iterator[str]:
    for module in house.modules.values():
        here = house.place(module.name)
        for found in house.own_imports(module):
            there = house.place(found.target)
            if here is None or there is None or there[0] < here[0] or there == here:
                continue
            what = f"{module.name!r} ({here[1]}) imports {found.target!r} ({there[1]})"
            if there[0] == here[0]:
                yield module.at(found, f"{what} beside it; siblings never meet, so move what both need below them")
            else:
                yield module.at(found, f"{what} above it or to its right; move what is needed down, or pass it in")


def no_import_cycles(house: House) -> Iterator[str]:
    modules = house.modules
    graph = {name: {found.target: found for found in house.own_imports(modules[name])} for name in modules}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            loop = [*path[path.index(name) :], name]
            steps = " imports ".join(f"{b!r} ({modules[a].file}:{graph[a][b].lineno})" for a, b in pairwise(loop))
            what = f"import cycle: {name!r} imports {steps}; move what is shared below both"
            yield modules[name].at(graph[name][loop[1]], what)
        elif name not in done:
            for target in graph.get(name, {}):
                yield from visit(target, (*path, name))
            done.add(name)

    for name in graph:
        yield from visit(name, ())


def libraries_have_one_door(house: House) -> Iterator[str]:
    for module in house.modules.values():
        for found in house.imports(module):
            library = found.target.split(".")[0]
            doors = house.doors.get(library)
            if library == "agentkit" or module.file.startswith("tools/"):
                continue
            if doors is None and library not in sys.stdlib_module_names:
                what = f"{library!r} is a new library; if it is needed, give it a door in DOORS in tests/test_house.py"
                yield module.at(found, what)
            if doors is not None and not any(module.file.startswith(door) for door in doors):
                where = " and ".join(doors) or "nowhere"
                yield module.at(found, f"{library!r} is imported in {where} only; go through what stands there")


def ready_made_tools_stand_alone(house: House) -> Iterator[str]:
    free = (
        "import the standard library, anyio, a private module beside them, a library that has its door here, "
        f"and `from agentkit import {', '.join(house.shelf)}` only"
    )
    for module in house.modules.values():
        for found in house.imports(module) if module.file.startswith("tools/") else ():
            if found.target == "agentkit" and found.name in house.shelf:
                continue
            if found.target.startswith("agentkit.tools._") or found.target.split(".")[0] == "anyio":
                continue
            if module.file in house.doors.get(found.target.split(".")[0], ()):
                continue
            if found.target.split(".")[0] not in sys.stdlib_module_names:
                taken = f"{found.name} from {found.target}" if found.name else found.target
                yield module.at(found, f"a ready-made tool imports {taken!r}; people copy these files, so {free}")


def modules_use_public_names(house: House) -> Iterator[str]:
    for module in house.modules.values():
        for found in house.imports(module):
            path = [*found.target.split("."), found.name]
            for end, part in enumerate(path):
                owner = ".".join(path[:end])
                if private(part) and not f"{module.package}.".startswith(f"{owner}."):
                    yield module.at(found, f"{part!r} is private to {owner!r}; use, or ask for, a public name")
        own = {name for node in ast.walk(module.tree) for name in defined(node)}
        for node in ast.walk(module.tree):
            name = reached_into(node)
            if name is not None and private(name) and name not in own:
                yield module.at(node, f"{name!r} is private to another module; use, or ask for, a public name")


def private(name: str) -> bool:
    documented = {"_replace", "_asdict", "_fields", "_make", "_exit", "_logs"}  # of a namedtuple, os, OpenTelemetry
    return name.startswith("_") and not name.startswith("__") and name != "_" and name not in documented


def defined(node: ast.AST) -> Iterator[str]:
    """The names that a node gives to something of its own module."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
            yield name


def reached_into(node: ast.AST) -> str | None:
    """The attribute that a node takes from something other than `self`."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return None
        case ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name
    return None


def modules_are_small(house: House) -> Iterator[str]:
    for module in house.modules.values():
        lines = len(module.source.splitlines())
        if lines > house.module_lines:
            what = f"{lines} lines, {house.module_lines} are allowed; these are two modules, so name them"
            yield module.at(module.tree, what)


def functions_are_short(house: House) -> Iterator[str]:
    for module in house.modules.values():
        for function in module.functions():
            lines = code_lines(function)
            if lines > house.function_lines:
                what = f"{function.name!r} has {lines} lines, {house.function_lines} are allowed; give a part a name"
                yield module.at(function, what)


def code_lines(function: Function) -> int:
    """From `def` to the last line. The docstring is not counted: nobody should save on it."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def functions_take_few_parameters(house: House) -> Iterator[str]:
    for module in house.modules.values():
        for function in module.functions():
            a = function.args
            given = [p.arg for p in [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg] if p is not None]
            count = len(given) - (given[:1] in (["self"], ["cls"]))
            if count > house.parameters:
                what = f"{function.name!r} has {count} parameters of its own, {house.parameters} are allowed"
                yield module.at(function, f"{what}; some of them belong together in a record")


def the_loop_is_one_function(house: House) -> Iterator[str]:
    loop = house.modules["agentkit.loop"]
    loops = [f for f in loop.functions() if any(isinstance(n, ast.While) for n in ast.walk(f))]
    if len(loops) != 1:
        names = ", ".join(repr(f.name) for f in loops) or "none"
        yield loop.at(loop.tree, f"one function holds the `while` of the loop, here: {names}; keep it in one place")
    for function in loops:
        lines = code_lines(function)
        if lines > house.loop_lines:
            what = f"the loop has {lines} lines, {house.loop_lines} are allowed"
            yield loop.at(function, f"{what}; a new reason to branch wants a peel or a value, not an `if`")


def the_door_is_what_we_meant(house: House) -> Iterator[str]:
    door = house.modules["agentkit"]
    seen = imported(house.root)
    promised = seen["promised"]
    late = [b for a, b in pairwise(promised) if b < a]
    if late:
        yield door.at(door.tree, f"`__all__` is not sorted, {late[0]!r} comes too late; sort it as `sorted` does")
    if len(promised) > house.public_names:
        what = f"{len(promised)} public names, {house.public_names} are allowed"
        yield door.at(door.tree, f"{what}; what a user can live a week without belongs in a submodule")
    for name in seen["missing"]:
        yield door.at(door.tree, f"{name!r} is promised in `__all__` but is not there; import it, or take it out")
    for name in seen["unpromised"]:
        yield door.at(door.tree, f"{name!r} is there but not in `__all__`; promise it, or give it an underscore")


def the_door_opens_quickly(house: House) -> Iterator[str]:
    door = house.modules["agentkit"]
    loaded = imported(house.root)["loaded"]
    for library in house.heavy:
        if library in loaded:
            yield door.at(door.tree, f"`import agentkit` loads {library!r}; import it in the function that uses it")


def imported(root: Path) -> dict[str, list[str]]:
    """What `import agentkit` does in a fresh interpreter."""
    script = """if True:
        import json, sys, types
        before = set(sys.modules)
        sys.path.insert(0, sys.argv[1])
        import agentkit
        loaded = sorted(set(sys.modules) - before)
        held = {name for name, value in vars(agentkit).items() if not name.startswith("_")
                and not (isinstance(value, types.ModuleType) and value.__name__ == f"agentkit.{name}")}
        print(json.dumps({
            "loaded": loaded,
            "promised": agentkit.__all__,
            "missing": [name for name in agentkit.__all__ if not hasattr(agentkit, name)],
            "unpromised": sorted(held - set(agentkit.__all__)),
        }))
    """
    command = [sys.executable, "-c", script, str(root)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, f"`import agentkit` failed:\n{done.stderr}"
    seen: dict[str, list[str]] = json.loads(done.stdout)
    return seen


def nothing_runs_what_it_reads(house: House) -> Iterator[str]:
    for module in house.modules.values():
        for found in house.imports(module):
            library = found.target.split(".")[0]
            if (advice := house.banned.get(library)) and module.file not in house.doors.get(library, ()):
                yield module.at(found, f"{found.target!r} runs what it reads; {advice}")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and (advice := house.banned.get(f"{called(node)}()")):
                yield module.at(node, f"{called(node)!r} runs what it reads; {advice}")


def tests_say_what_they_promise(house: House) -> Iterator[str]:
    for module in house.tests:
        for function in module.functions():
            if function.name.startswith("test_") and ast.get_docstring(function) is None:
                yield module.at(function, f"{function.name!r} has no docstring; say whose promise it is")


def tests_do_not_sleep(house: House) -> Iterator[str]:
    for module in house.tests:
        sleeps = {f"{library}.sleep" for library in ("time", "asyncio", "anyio", "trio")}
        sleeps |= {f.name for f in house.imports(module) if f.name == "sleep" and f"{f.target}.sleep" in sleeps}
        if any(found.target == "virtual_time" for found in house.imports(module)):
            sleeps &= {"time.sleep"}  # there, the event loops' time passes at once
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and called(node) in sleeps and ast.unparse(node) != f"{called(node)}(0)":
                what = f"{ast.unparse(node)!r} waits for a while; wait for the thing itself (anyio.Event), or for ever"
                yield module.at(node, f"{what} (anyio.sleep_forever)")

"""The imports between the packages, as a Mermaid flowchart and a table: *The structure* in docs/design.md.

grimp, which import-linter is built on, reads the imports from the code. A package's own modules (`worker/process.py`)
are drawn in groups: the modules that import no room of the package, those that a room imports, and those above them.
"""

from collections.abc import Mapping
from typing import Final

import grimp

ROOTS: Final = ("worker", "handlers", "sync", "commands")
"""The four import packages, from the top layer to the bottom."""
Imports = Mapping[str, frozenset[str]]
"""The nodes that a node imports, by node."""


def structure() -> str:
    """The block of docs/design.md."""
    graph = grimp.build_graph(*ROOTS, cache_dir=None)
    rooms = {module: _room_of(graph, module) for module in graph.modules}
    return "\n".join([*_flowchart(_imports(graph, _drawn(graph, rooms))), "", *_table(_imports(graph, rooms))])


def _room_of(graph: grimp.ImportGraph, module: str) -> str:
    """The room that holds a module: `worker.mongo`; the package, where the module stands in no room."""
    package, *rest = module.split(".")
    room = f"{package}.{rest[0]}" if rest else package
    return room if rest and graph.find_children(room) else package


def _drawn(graph: grimp.ImportGraph, rooms: Mapping[str, str]) -> dict[str, str]:
    """The node of every module in the flowchart. A package without rooms is one node, and has no group."""
    drawn = dict(rooms)
    for package in ROOTS:
        own = {module for module in graph.find_children(package) if rooms[module] == package}
        if own == graph.find_children(package):
            continue
        del drawn[package]
        in_rooms = graph.find_descendants(package) - own
        groups: dict[tuple[bool, bool], list[str]] = {}
        for module in sorted(own):
            imports_room = not in_rooms.isdisjoint(graph.find_upstream_modules(module))
            imported = not in_rooms.isdisjoint(graph.find_downstream_modules(module))
            groups.setdefault((imports_room, imported), []).append(module)
        for group in groups.values():
            name = ", ".join(module.rpartition(".")[2] for module in group)
            drawn.update(dict.fromkeys(group, f"{package}: {name}"))
    return drawn


def _imports(graph: grimp.ImportGraph, nodes: Mapping[str, str]) -> Imports:
    found: dict[str, set[str]] = {node: set() for node in nodes.values()}
    for module, node in nodes.items():
        targets = (nodes[target] for target in graph.find_modules_directly_imported_by(module))
        found[node].update(target for target in targets if target != node)
    return {node: frozenset(targets) for node, targets in sorted(found.items())}


def _flowchart(imports: Imports) -> list[str]:
    ids = {node: f"n{index}" for index, node in enumerate(imports)}
    lines = ["```mermaid", "flowchart TD"]
    for package in ROOTS:
        members = [node for node in imports if node.split(".")[0].split(":")[0] == package]
        if members == [package]:
            lines.append(f'  {ids[package]}["{package}"]')
            continue
        lines.append(f"  subgraph {package}")
        lines.extend(f'    {ids[node]}["{_label(node, package)}"]' for node in members)
        lines.append("  end")
    for node, targets in without_detours(imports).items():
        lines.extend(f"  {ids[node]} --> {ids[target]}" for target in sorted(targets))
    return [*lines, "```"]


def _label(node: str, package: str) -> str:
    return node.removeprefix(f"{package}.").removeprefix(f"{package}: ").replace(", ", "<br>")


def _table(imports: Imports) -> list[str]:
    rows = [
        f"| `{node}` | {', '.join(f'`{target}`' for target in sorted(targets)) or '–'} |"
        for node, targets in imports.items()
    ]
    return ["| package | imports |", "|---|---|", *rows]


def without_detours(imports: Imports) -> Imports:
    """The imports without those that a longer path implies: `a → c` is left out if `a → b → c` is there."""
    reached = {node: _reached(node, imports) for node in imports}
    return {
        node: frozenset(
            target
            for target in targets
            if not any(target in reached[other] and other not in reached[target] for other in targets - {target})
        )
        for node, targets in imports.items()
    }


def _reached(start: str, imports: Imports) -> set[str]:
    reached: set[str] = set()
    open_nodes = list(imports[start])
    while open_nodes:
        node = open_nodes.pop()
        if node not in reached:
            reached.add(node)
            open_nodes.extend(imports[node])
    return reached

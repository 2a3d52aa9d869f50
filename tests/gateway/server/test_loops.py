"""What works by itself is started: a loop that nobody wires would be missed by nobody."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator

from tests.support.paths import ROOT
from tests.support.service import Service

PARTS = {
    "OfferCards": "run by the hub",
    "Fanout": "run by the hub",
    "HeapSweep": "run by `serve` beside its server",
}
"""Loops that another loop runs, or that a process of its own has."""


def loops() -> Iterator[str]:
    """Every class of the product that can be run as `engine.kernel.loops.Loop`."""
    for room in ("engine", "broadcast", "gateway"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and is_loop(node):
                    yield node.name


def is_loop(node: ast.ClassDef) -> bool:
    """Whether it has `async def run(self)`, and is not the protocol that asks for it."""
    if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
        return False
    return any(
        isinstance(member, ast.AsyncFunctionDef)
        and member.name == "run"
        and len(member.args.args) == 1
        for member in node.body
    )


async def test_every_loop_of_the_product_runs(service: Service) -> None:
    """Each as a task of its name, while the service serves."""
    assert service.url
    running = {task.get_name() for task in asyncio.all_tasks()}
    assert set(loops()) - running == PARTS.keys()

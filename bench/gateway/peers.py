"""The peers of these runs: what can be had of them is built or installed in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_PLAIN: Final = "bench.gateway.plain"
_PICOWS: Final = ("picows==2.3.1", "uvloop==0.23.0")
_WS: Final = "ws@8"


def commands(folder: Path) -> dict[str, Sequence[str]]:
    """Returns how each peer that there is here is started; says which ones are left out, and why."""
    peers: dict[str, Sequence[str]] = {
        "uvicorn, ASGI": (sys.executable, "-m", _PLAIN, "uvicorn"),
        "Starlette": (sys.executable, "-m", _PLAIN, "starlette"),
        "websockets": (sys.executable, "-m", _PLAIN, "websockets"),
    }
    makers: dict[str, Callable[[Path], Sequence[str]]] = {
        "C send()": _send_loop,
        "picows": _picows,
        "Node ws": _node,
    }
    for name, make in makers.items():
        try:
            peers[name] = make(folder)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"left out: {name} ({error})")
    return peers


def _send_loop(folder: Path) -> Sequence[str]:
    program = folder / "send_loop"
    _run(_found("cc"), "-O2", "-o", str(program), str(_HERE / "send_loop.c"))
    return (str(program),)


def _picows(folder: Path) -> Sequence[str]:
    python = folder / "picows" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(folder / "picows"))
    _run(str(python), "-m", "pip", "install", "-q", *_PICOWS)
    return (str(python), str(_HERE / "plain.py"), "picows")


def _node(folder: Path) -> Sequence[str]:
    node = _found("node")
    _run(_found("npm"), "install", "--silent", "--no-audit", "--prefix", str(folder), _WS)
    shutil.copy(_HERE / "server.js", folder)
    return (node, str(folder / "server.js"))


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(f"{program} is not installed")
    return path


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=180)

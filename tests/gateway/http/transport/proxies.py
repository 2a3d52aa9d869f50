"""nginx and HAProxy in front of a service, with the configurations of `deploy/proxies`."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.paths import ROOT
from tests.support.programs import program

EXAMPLES = ROOT / "deploy" / "proxies"
WITHIN_S = 20.0

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/hustlexp.conf;
}}
"""
CARELESS = """
map $http_upgrade $hustlexp_connection { default upgrade; '' ''; }
upstream hustlexp { server 127.0.0.1:8000; %s }
server {
    listen 80;
    location / {
        proxy_pass http://hustlexp;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $hustlexp_connection;
    }
    location = /v1/tasks/denied { return 403; }
}
"""
"""What a tutorial says: every Upgrade is passed on, and `$host` leaves the port out."""


@asynccontextmanager
async def nginx(service_url: str, folder: Path, config: str) -> AsyncIterator[str]:
    """Nginx with this configuration in front of a service; its address."""
    port = _free_port()
    text = config.replace("listen 80;", f"listen 127.0.0.1:{port};")
    (folder / "hustlexp.conf").write_text(_before(service_url, text))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    command = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    async with _running(command, port, folder):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def haproxy(service_url: str, folder: Path, config: str) -> AsyncIterator[str]:
    """HAProxy with this configuration in front of a service; its address."""
    port = _free_port()
    text = config.replace("bind :80 ", f"bind 127.0.0.1:{port} ")
    (folder / "haproxy.cfg").write_text(_before(service_url, text))
    command = [program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    async with _running(command, port, folder):
        yield f"http://127.0.0.1:{port}"


def example(name: str) -> str:
    """A configuration as operators copy it."""
    return (EXAMPLES / name).read_text()


def _before(service_url: str, text: str) -> str:
    replaced, count = re.subn(r"127\.0\.0\.1:8000", urlsplit(service_url).netloc, text)
    assert count == 1
    return replaced


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def _running(command: list[str], port: int, folder: Path) -> AsyncIterator[None]:
    with (folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await _accepts(port):
                assert process.returncode is None, (folder / "output").read_text()
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True

"""A Valkey Cluster of three primaries on this machine, for presence that must work on one."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from deploy.binaries import find_binaries

PRIMARIES: Final = 3
SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 400
READY_WITHIN_S: Final = 20.0


@dataclass
class Node:
    """One server of the cluster, which may be killed and started again."""

    folder: Path
    port: int
    bus_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Runs the server; it finds the others again by its folder."""
        self.folder.mkdir(exist_ok=True)
        settings = {
            "port": self.port,
            "cluster-port": self.bus_port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT_MS,
            "cluster-require-full-coverage": "no",
            "save": "",
            "appendonly": "no",
            "io-threads": 1,
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_binaries().valkey_server), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def ask(self, *words: str | int) -> Any:
        """The reply to one command."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return client.execute_command(*map(str, words))


@dataclass
class ValkeyCluster:
    """The nodes of a cluster, each with a third of the slots."""

    nodes: list[Node] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL of one server: the others are found by it."""
        return f"redis://127.0.0.1:{self.nodes[0].port}"

    def wait(self) -> None:
        """Returns when every server agrees that all slots are served."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not all(self._is_ready(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError("the Valkey Cluster of this test run did not form")
            time.sleep(0.02)

    def _is_ready(self, node: Node) -> bool:
        try:
            info = node.ask("CLUSTER", "INFO")
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False
        facts = info if isinstance(info, dict) else dict(
            line.split(":", 1) for line in info.splitlines() if ":" in line
        )  # fmt: skip
        return (
            facts["cluster_state"] == "ok"
            and int(facts["cluster_slots_ok"]) == SLOTS
            and int(facts["cluster_known_nodes"]) == len(self.nodes)
        )

    def move_slot(self, slot: int) -> None:
        """Hands a slot with its keys on to the next server, as a resharding does."""
        source = self.owner(slot)
        target = self.nodes[(self.nodes.index(source) + 1) % len(self.nodes)]
        names = {node.port: node.ask("CLUSTER", "MYID") for node in (source, target)}
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
        with redis.Redis(port=source.port) as client:
            keys = client.execute_command("CLUSTER", "GETKEYSINSLOT", str(slot), "1000")
            if keys:
                client.execute_command(
                    "MIGRATE", "127.0.0.1", str(target.port), "", "0", "1000", "KEYS", *keys
                )
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])

    def owner(self, slot: int) -> Node:
        """The server that a slot belongs to."""
        for first, last, (_, port, *_), *_ in self._ranges():
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(slot)

    def _ranges(self) -> list[Any]:
        with redis.Redis(port=self.nodes[0].port) as client:
            connection = client.connection_pool.get_connection()
            connection.send_command("CLUSTER", "SLOTS")
            ranges: list[Any] = connection.read_response()
            client.connection_pool.release(connection)
        return ranges

    def empty(self) -> None:
        """Removes every key and every script."""
        for node in self.nodes:
            node.ask("FLUSHALL")


@contextmanager
def valkey_cluster(folder: Path) -> Iterator[ValkeyCluster]:
    """Starts three primaries and joins them; stops them at the end."""
    cluster = ValkeyCluster()
    ports = iter(_free_ports(2 * PRIMARIES))
    try:
        for number in range(PRIMARIES):
            node = Node(folder / f"node{number}", next(ports), next(ports))
            cluster.nodes.append(node)
            node.start()
        for node in cluster.nodes:
            _answers(node)
        first = cluster.nodes[0]
        for number, node in enumerate(cluster.nodes):
            low, high = number * SLOTS // PRIMARIES, (number + 1) * SLOTS // PRIMARIES - 1
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", low, high)
            if node is not first:
                node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
        cluster.wait()
        yield cluster
    finally:
        for node in cluster.nodes:
            node.stop()


def _answers(node: Node) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            node.ask("PING")
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    held = [socket.socket() for _ in range(count)]
    for listener in held:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports

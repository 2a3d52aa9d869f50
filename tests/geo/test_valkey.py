from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from redis.exceptions import ResponseError

from geo.valkey import ANYWHERE, Pipeline, Valkey, ValkeyAway, open_valkey, packed


def pipeline(*commands: bytes) -> Pipeline:
    """Commands without keys."""
    return Pipeline(commands, [ANYWHERE] * len(commands))


@pytest.mark.parametrize("argument", [np.float64(1.5), np.int64(1), np.str_("x"), 1.5, True, None])
def test_only_plain_values_are_sent(argument: object) -> None:
    """A numpy scalar would arrive as its repr, a float rounded, True as a word."""
    with pytest.raises(TypeError):
        packed(b"SET", b"key", argument)  # type: ignore[arg-type]


async def test_replies_come_in_order(valkey: Valkey) -> None:
    """Many commands, one trip."""
    assert await valkey.run(pipeline(*(packed(b"ECHO", n) for n in range(500)))) == [
        b"%d" % n for n in range(500)
    ]
    assert await valkey.run(Pipeline()) == []
    await valkey.ping()


async def test_a_wrong_command_is_a_bug_and_leaves_the_connection_usable(valkey: Valkey) -> None:
    """It raises the library's own error, after the other replies were read."""
    with pytest.raises(ResponseError):
        await valkey.run(pipeline(packed(b"NONSENSE"), packed(b"PING")))
    assert await valkey.one(b"ECHO", b"still here") == b"still here"


async def test_a_server_that_is_not_there_is_away_in_bounded_time(tmp_path: Path) -> None:
    """One exception, after the deadline and not much later."""
    client = open_valkey(f"unix://{tmp_path}/nobody.sock")
    start = time.monotonic()
    with pytest.raises(ValkeyAway):
        await client.run(pipeline(packed(b"PING")), deadline_s=0.2)
    assert time.monotonic() - start < 1.0
    await client.close()


async def test_a_server_that_hangs_is_away_too(tmp_path: Path) -> None:
    """It accepts, reads and never answers; its connection is not used again."""
    held = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append((reader, writer))

    server = await asyncio.start_unix_server(silent, tmp_path / "silent.sock")
    client = open_valkey(f"unix://{tmp_path}/silent.sock", connections=1)
    with pytest.raises(ValkeyAway):
        await client.run(pipeline(packed(b"PING")), deadline_s=0.2)
    await client.close()
    for _, writer in held:
        writer.close()
    server.close()


async def test_a_cut_connection_is_replaced_unnoticed(valkey: Valkey, presence_url: str) -> None:
    """As after a restart of the server: every connection is dead at once."""
    ids = set(await asyncio.gather(*(valkey.one(b"CLIENT", b"ID") for _ in range(20))))
    assert len(ids) > 1
    other = open_valkey(presence_url)
    for connection in ids:
        assert await other.one(b"CLIENT", b"KILL", b"ID", connection) == 1
    await other.close()
    assert await asyncio.gather(*(valkey.one(b"ECHO", n) for n in range(20))) == [
        b"%d" % n for n in range(20)
    ]


async def test_a_cancelled_caller_leaves_no_reply_for_the_next(fresh_valkey_url: str) -> None:
    """The half-read connection is closed, so nobody gets another's answer."""
    client = open_valkey(fresh_valkey_url, connections=1)
    for n in range(5):
        waiting = asyncio.create_task(client.one(b"BLPOP", b"nothing", b"0.05"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        assert await client.one(b"ECHO", n) == b"%d" % n
        assert waiting.cancelled()
    await client.close()


async def test_more_callers_than_connections_wait_their_turn(fresh_valkey_url: str) -> None:
    """Two connections serve fifty callers."""
    client = open_valkey(fresh_valkey_url, connections=2)
    assert await asyncio.gather(*(client.one(b"ECHO", n) for n in range(50))) == [
        b"%d" % n for n in range(50)
    ]
    await client.close()

"""The benchmark of presence, small: that all ways run on a server as it is, not how fast."""

from __future__ import annotations

import importlib

import pytest

from geo.valkey import open_valkey


async def test_each_way_is_measured_and_the_targets_are_counted(
    fresh_valkey_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hundred hustlers, two rounds; the last line says how many targets were met."""
    presence = importlib.import_module("bench.micro.presence.__main__")
    monkeypatch.setattr(presence, "INDEX_AFTER_S", 0.0)
    client = open_valkey(fresh_valkey_url)
    missed = await presence.compare(client, 200, 2)
    await client.close()
    printed = capsys.readouterr().out
    assert "200 found" in printed
    assert printed.splitlines()[-1] == f"{1 - missed} of 1 targets met"

"""Accounts for the simulated people: names drawn by seed, tokens from the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Literal
from uuid import UUID

from bench.simulator.hustler import Person
from bench.simulator.projection import LatLng

Role = Literal["hustler", "poster"]
Mint = Callable[[Role, str, LatLng | None], Awaitable[tuple[str, UUID]]]
"""(role, first name, home) → (token, user id) of an account that is verified and able to work."""

# fmt: off
FIRST_NAMES = (
    "Ada", "Aiko", "Alma", "Amir", "Ana", "Anton", "Aria", "Asha", "Ben", "Bea", "Bo", "Cal",
    "Cara", "Chen", "Cleo", "Cora", "Dara", "Dev", "Dina", "Eli", "Elif", "Ema", "Enzo",
    "Esra", "Eva", "Ezra", "Femi", "Finn", "Flora", "Gael", "Gia", "Greta", "Hana", "Hugo",
    "Ida", "Igor", "Ilse", "Imani", "Ines", "Iris", "Ivan", "Jada", "Jai", "Jonas", "Juno",
    "Kai", "Kaya", "Kemal", "Kira", "Lars", "Layla", "Lea", "Leif", "Lena", "Leo", "Lina",
    "Lola", "Luca", "Mae", "Malik", "Mara", "Marco", "Mei", "Mila", "Milo", "Mina", "Nadia",
    "Nia", "Nils", "Nina", "Noa", "Nora", "Odin", "Ola", "Omar", "Orla", "Otis", "Paz",
    "Petra", "Pia", "Quinn", "Rafa", "Rana", "Remy", "Rhea", "Rio", "Rosa", "Ruby", "Sami",
    "Sana", "Sol", "Suki", "Tara", "Teo", "Tess", "Tomas", "Una", "Uma", "Vera", "Viktor",
    "Wes", "Wren", "Yara", "Yusuf", "Zara", "Zoe",
)
# fmt: on


def first_name(seed: int, number: int) -> str:
    """Returns the name of the city's number-th inhabitant."""
    names = list(FIRST_NAMES)
    Random(f"names {seed} {number // len(names)}").shuffle(names)
    return names[number % len(names)]


async def enrol(mint: Mint, role: Role, seed: int, number: int, home: LatLng | None) -> Person:
    """Returns the number-th inhabitant with a fresh token."""
    name = first_name(seed, number)
    token, user_id = await mint(role, name, home)
    return Person(number, name, token, user_id)

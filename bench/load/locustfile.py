"""What locust runs: users by the plan, in its shape, measured by locust's events.

Locust patches sockets, locks and sleeping for gevent before it imports this, so that the users'
blocking code gives way to all others wherever it waits.
"""

from __future__ import annotations

from random import Random
from typing import Final, cast

from locust import LoadTestShape, User, constant, events, task

from bench.load.places import place
from bench.load.plan import read
from bench.load.shapes.catalogue import SHAPES
from bench.load.users.accounts import Account, Accounts, Role
from bench.load.users.codes import Codes
from bench.load.users.free_hustlers import FreeHustlers
from bench.load.users.hustler import Habits, HustlerSession
from bench.load.users.meter import FirstCards
from bench.load.users.poster import Custom, PosterSession
from bench.load.users.rest import Rest
from bench.load.users.session import LoadSession, Shared

PLAN: Final = read()
SHAPE: Final = SHAPES[PLAN.shape]
ACCOUNTS: Final = Accounts(PLAN.tickets)
SEEDS: Final = Random(PLAN.seed)


class LocustMeter:
    """Hands what users measure to locust, as requests of one kind for each channel."""

    def measured(self, name: str, seconds: float) -> None:
        """Fires a success."""
        _fire(name, seconds, None)

    def failed(self, name: str, error: Exception, seconds: float = 0.0) -> None:
        """Fires a failure."""
        _fire(name, seconds, error)


def _fire(name: str, seconds: float, error: Exception | None) -> None:
    is_rest = name.startswith(("GET ", "POST "))
    events.request.fire(
        request_type="REST" if is_rest else "WS",
        name=name,
        response_time=seconds * 1e3,
        response_length=0,
        exception=error,
        context={},
    )


_meter = LocustMeter()
SHARED: Final = Shared(
    PLAN.ws_url, Rest(PLAN.url, _meter), _meter, FirstCards(_meter), Codes(), FreeHustlers()
)


class PlannedUser(User):
    """A user with an account of the plan, and one session at a time."""

    abstract = True
    wait_time = constant(0)
    account: Account
    session: LoadSession

    def take(self, role: Role) -> Random:
        """Takes an account, and returns what the session draws from."""
        self.account = ACCOUNTS.take(role)
        return Random(SEEDS.random())

    @task
    def turn(self) -> None:
        """Takes a message, or does what is due."""
        self.session.turn()

    def on_stop(self) -> None:
        """Is cut off; the account goes to the next."""
        self.session.leave()
        ACCOUNTS.put_back(self.account)


class Poster(PlannedUser):
    """Posts LIVE tasks and follows them by pushes."""

    fixed_count = PLAN.posters

    def on_start(self) -> None:
        """Takes an account, and begins its session."""
        draw = self.take("poster")
        self.session = PosterSession(
            self.account, SHARED, draw, Custom(), lambda where: place(where, SHAPE.hot_share)
        )


class Hustler(PlannedUser):
    """Is LIVE and answers cards."""

    def on_start(self) -> None:
        """Takes an account, and begins its session."""
        draw = self.take("hustler")
        self.session = HustlerSession(self.account, SHARED, draw, Habits())


class PlannedShape(LoadTestShape):
    """The plan's shape, until its length has passed."""

    def tick(self) -> tuple[int, float] | None:
        """Returns users and how many of them may come or go within a second."""
        second = cast("float", self.get_run_time())
        if second >= PLAN.length_s:
            return None
        return SHAPE.users_at(second, PLAN.peak, PLAN.length_s), float(PLAN.peak)

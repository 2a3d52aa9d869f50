"""Tasks over REST: create, read, edit, and the steps of a task's life that no other subject has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.kernel import errors, policy
from engine.kernel.ids import TaskId
from engine.kernel.states import Mode, TaskState
from engine.money.views import EscrowView
from engine.tasks.commands import BroadcastChoice
from engine.tasks.draft import TaskDraft
from engine.tasks.views import Page, TaskView, TransitionView
from gateway.contract.fields import (
    Address,
    Category,
    Cents,
    Code,
    Cursor,
    Description,
    FieldRefused,
    Instant,
    Latitude,
    Limit,
    Longitude,
    Reason,
    Title,
    Version,
)
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts
from geo import cells


class TaskLocation(Sent, frozen=True):
    """Where a task is."""

    lat: Latitude
    lng: Longitude
    address: Address | None = None

    def __post_init__(self) -> None:
        if self.lat == 0 and self.lng == 0:
            raise FieldRefused(
                "lat", "must not be 0 with lng 0, where devices without a position are"
            )


class LiveConfirmations(Sent, frozen=True):
    """What the poster confirms before a LIVE task; any `false` refuses LIVE."""

    can_respond: bool
    accessible_now: bool
    price_final: bool


class TaskRequest(Sent, frozen=True):
    """POST /v1/tasks."""

    title: Title
    description: Description
    category: Category
    price_cents: Cents
    location: TaskLocation
    mode: Mode = "STANDARD"
    deadline: Instant | None = None
    requires_proof: bool = True
    min_photos: Annotated[int, Meta(ge=1, le=policy.PHOTOS_MAX)] = 1
    estimated_minutes: Annotated[int, Meta(ge=1, le=10_080)] | None = None
    required_trade: Category | None = None
    required_trust_tier: Annotated[int, Meta(ge=1, le=4)] = 1
    insurance_required: bool = False
    background_check_required: bool = False
    live_confirmations: LiveConfirmations | None = None

    def __post_init__(self) -> None:
        self._in_utc("deadline", self.deadline)


class EditRequest(Sent, frozen=True):
    """PATCH /v1/tasks/{id}: what changes; `version` is the one the poster saw."""

    version: Version | None = None
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    price_cents: Cents | UnsetType = UNSET
    location: TaskLocation | UnsetType = UNSET
    deadline: Instant | UnsetType | None = UNSET
    requires_proof: bool | UnsetType = UNSET
    min_photos: Annotated[int, Meta(ge=1, le=policy.PHOTOS_MAX)] | UnsetType = UNSET
    estimated_minutes: Annotated[int, Meta(ge=1, le=10_080)] | UnsetType | None = UNSET
    required_trade: Category | UnsetType | None = UNSET
    required_trust_tier: Annotated[int, Meta(ge=1, le=4)] | UnsetType = UNSET
    insurance_required: bool | UnsetType = UNSET
    background_check_required: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        self._in_utc("deadline", self.deadline)


class StartRequest(Sent, frozen=True):
    """POST …/start."""

    code: Code


class ReasonRequest(Sent, frozen=True):
    """POST …/cancel and …/release."""

    reason: Reason | None = None


class ChoiceRequest(Sent, frozen=True):
    """POST …/broadcast-choice; `price_cents` goes with INCREASE_PRICE."""

    choice: BroadcastChoice
    price_cents: Cents | None = None

    def __post_init__(self) -> None:
        if (self.choice == "INCREASE_PRICE") != (self.price_cents is not None):
            raise FieldRefused("price_cents", "belongs to INCREASE_PRICE, and to nothing else")


class TasksQuery(Sent, frozen=True):
    """GET /v1/tasks?role&state&cursor&limit."""

    role: Literal["poster", "hustler"]
    state: TaskState | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class History(Struct, frozen=True):
    """The steps of a task, oldest first."""

    items: list[TransitionView]


class ChoiceView(Struct, frozen=True):
    """What a broadcast-choice led to.

    For a switch `task` is the successor; for an increase `escrow` is the one to be funded.
    """

    task: TaskView
    escrow: EscrowView | None


async def create(parts: Parts, context: RequestContext[TaskRequest, Nothing]) -> TaskView:
    """Create a task. A LIVE task is broadcast once it is funded."""
    check_terms(context.body)
    task_id = await parts.commands.tasks.create(context.user_id, draft(context.body))
    return await parts.queries.tasks.view(context.user_id, task_id)


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> TaskView:
    """One task, as the caller may see it."""
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def page(parts: Parts, context: RequestContext[Nothing, TasksQuery]) -> Page:
    """The caller's own tasks as poster or as hustler, newest first."""
    query = context.query
    items, end = await parts.queries.tasks.page(
        context.user_id,
        query.role,
        query.state,
        parts.cursors.after(context.user_id, query.cursor),
        query.limit,
    )
    return Page(items, parts.cursors.next(context.user_id, end))


async def edit(parts: Parts, context: RequestContext[EditRequest, Nothing]) -> TaskView:
    """Change a task: everything but the mode before it is funded, then title and description."""
    await parts.commands.tasks.edit(
        context.user_id, context.id(TaskId), changes(context.body), context.body.version
    )
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def arrived(parts: Parts, context: RequestContext[Nothing, Nothing]) -> TaskView:
    """The hustler is at the place: seen by the last position, or a claim where none is known."""
    await parts.location_tracker.arrivals.claim(context.user_id, context.id(TaskId))
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def start(parts: Parts, context: RequestContext[StartRequest, Nothing]) -> TaskView:
    """Start work with the code that the poster shows."""
    await parts.commands.tasks.start(context.user_id, context.id(TaskId), context.body.code)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def release(parts: Parts, context: RequestContext[ReasonRequest, Nothing]) -> TaskView:
    """Give an accepted task back; a successor with the same escrow goes out again."""
    await parts.commands.tasks.release(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def cancel(parts: Parts, context: RequestContext[ReasonRequest, Nothing]) -> TaskView:
    """Cancel a task that nobody has arrived for; the poster gets everything back."""
    await parts.commands.tasks.cancel(context.user_id, context.id(TaskId), context.body.reason)
    return await parts.queries.tasks.view(context.user_id, context.id(TaskId))


async def choose(parts: Parts, context: RequestContext[ChoiceRequest, Nothing]) -> ChoiceView:
    """What happens to a task whose broadcast found nobody."""
    chosen = await parts.commands.tasks.choose(
        context.user_id, context.id(TaskId), context.body.choice, context.body.price_cents
    )
    task = await parts.queries.tasks.view(context.user_id, chosen.task)
    if chosen.replacement is not None:
        return ChoiceView(task, await parts.queries.money.escrow(chosen.replacement))
    return ChoiceView(task, task.escrow)


async def history(parts: Parts, context: RequestContext[Nothing, Nothing]) -> History:
    """Every step of a task: from, to, who, why and when."""
    return History(await parts.queries.tasks.history(context.user_id, context.id(TaskId)))


def check_terms(task: TaskRequest) -> None:
    """Refuses a task below a price floor (HX902 for LIVE) or without its confirmations.

    The database judges the floors again; asking early spares it the work.
    """
    if task.mode == "LIVE":
        said = task.live_confirmations
        unconfirmed = tuple(
            errors.FieldError(f"/live_confirmations/{name}", "must be true for a LIVE task")
            for name in (said.__struct_fields__ if said else ())
            if not getattr(said, name)
        )
        if task.price_cents < policy.LIVE_PRICE_MIN_CENTS:
            floor = errors.FieldError(
                "/price_cents", f"must be at least {policy.LIVE_PRICE_MIN_CENTS:,} for a LIVE task"
            )
            raise errors.refusal("HX902", "LIVE-2", fields=(floor, *unconfirmed))
        if unconfirmed:
            raise errors.invalid(*unconfirmed)
    elif task.price_cents < policy.TASK_PRICE_MIN_CENTS:
        raise errors.invalid_field(
            "/price_cents", f"must be at least {policy.TASK_PRICE_MIN_CENTS}"
        )


def changes(edit: EditRequest) -> dict[str, Any]:
    """Returns the columns that an edit changes, with their new values."""
    sent = {
        name: getattr(edit, name)
        for name in edit.__struct_fields__
        if name not in ("version", "location", "price_cents") and getattr(edit, name) is not UNSET
    }
    if edit.price_cents is not UNSET:
        sent["price"] = edit.price_cents
    if edit.location is not UNSET:
        place = cells.place_centre(edit.location.lat, edit.location.lng)
        sent |= {
            "location_lat": edit.location.lat,
            "location_lng": edit.location.lng,
            "location_address": edit.location.address,
            "place_lat": place.lat,
            "place_lng": place.lng,
            "partition": cells.place_partition(edit.location.lat, edit.location.lng),
        }
    return sent


def draft(task: TaskRequest) -> TaskDraft:
    """Returns the engine's draft: the exact location, and its cell's centre for public views."""
    place = cells.place_centre(task.location.lat, task.location.lng)
    return TaskDraft(
        mode=task.mode,
        title=task.title,
        description=task.description,
        category=task.category,
        price_cents=task.price_cents,
        lat=task.location.lat,
        lng=task.location.lng,
        address=task.location.address,
        place_lat=place.lat,
        place_lng=place.lng,
        partition=cells.place_partition(task.location.lat, task.location.lng),
        deadline=task.deadline,
        requires_proof=task.requires_proof,
        min_photos=task.min_photos,
        estimated_minutes=task.estimated_minutes,
        required_trade=task.required_trade,
        required_trust_tier=task.required_trust_tier,
        insurance_required=task.insurance_required,
        background_check_required=task.background_check_required,
    )

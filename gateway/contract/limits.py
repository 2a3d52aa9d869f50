"""Every limit of the gateway's sockets, each with its unit and its reason."""

from __future__ import annotations

from typing import Final

# ── One connection, before a request is understood ───────────────────────────────────────────────
MAX_URL_BYTES: Final = 8_000
"""A longer path with its query is answered 414: what RFC 9110 §4.1 asks every server to read."""
MAX_HEADER_LINE_BYTES: Final = 8_190
"""A longer header line, its CRLF not counted, is answered 431: lines of 8 KiB, as most proxies read."""
MAX_HEADERS: Final = 100
"""More header fields are answered 431."""
MAX_HEAD_BYTES: Final = 32 * 1024
"""A longer head, request line and header fields, is answered 431."""
MAX_CHUNK_EXTENSION_BYTES: Final = 4 * 1024
"""Extensions and trailer fields of one chunked body; more are answered 400."""
TINY_CHUNK_BYTES: Final = 64
"""The mean size that the chunks of a body should have at least."""
MAX_TINY_CHUNKS: Final = 8_192
"""So many chunks of a body may go without it; more are answered 400. A chunk of one byte takes as
long as one of 64, and 256 KiB arrive at once."""
MAX_UNREAD_BODY_BYTES: Final = 64 * 1024
"""So much of a body waits for whoever reads it, as while its token is checked; then the client does."""
MAX_DRAINED_BYTES: Final = 64 * 1024
"""The rest of a body whose answer was given early is read and dropped up to here; behind a longer
one the connection is closed."""
HEAD_WITHIN_S: Final = 10.0
"""A head must be complete so long after its first byte, and on a new connection after the connect."""
BODY_STALL_S: Final = 20.0
"""A body of which nothing arrives for this long is answered 408."""
BODY_WITHIN_S: Final = 150.0
"""A body that is not complete by then is answered 408, however steadily it drips."""
ANSWER_STALL_S: Final = 60.0
"""A client that takes nothing of its answer for this long is cut."""
KEEP_ALIVE_S: Final = 75.0
"""An idle connection is closed after this: later than the usual 60 s of the proxies in front, so
that none of them sends a request into a connection that is just being closed."""
LINGER_S: Final = 2.0
"""After the last answer what still arrives is read and dropped until nothing comes for so long: a
close with unread bytes would reset the connection and lose the answer."""
LINGER_WITHIN_S: Final = 30.0
"""However steadily it comes, it is not listened to for longer."""
MAX_LINGER_BYTES: Final = 16 * 1024 * 1024
"""However fast it comes, it is not listened to for more: a photo of 10 MiB may be on its way."""

# ── One socket, inbound ──────────────────────────────────────────────────────────────────────────
MAX_FRAME_BYTES: Final = 64 * 1024
"""A larger WebSocket message closes the socket with 1009 before it is buffered."""
MAX_MESSAGE_CHARS: Final = 16 * 1024
"""A longer message that still fits a frame is answered TOO_LARGE and the session goes on."""
AUTH_WITHIN_S: Final = 10.0
"""A socket that has not authenticated by then is closed (4202)."""
TOKEN_WARNING_S: Final = 60.0
"""So long before its token ends a session is told (TOKEN_EXPIRING), once for each token."""
HEARTBEAT_S: Final = 30.0
"""Told in WELCOME: the client sends something at least this often."""
HEARTBEAT_SLACK_S: Final = 20.0
"""A socket silent for heartbeat + slack is cut."""
MAX_WAITING_REQUESTS: Final = 16
"""Requests of one socket that wait for the database; then it is not read until one was answered, and
what had been read already is answered RATE_LIMITED."""
MAX_WATCHED_TASKS: Final = 32
"""SUBSCRIBE_TASK per socket."""

# ── One socket, outbound ─────────────────────────────────────────────────────────────────────────
MAX_OUTBOUND_BYTES: Final = 192 * 1024
"""Nothing is put behind more unsent bytes than this: the socket is cut."""
CLOGGED_OUTBOUND_BYTES: Final = 64 * 1024
"""Above this many unsent bytes durable events stay in the log until the client has read on."""
MAX_OUTBOUND_STALL_S: Final = 8.0
"""A client that takes not a byte of what waits for it for so long is cut, within 10 s of its last."""
VOLATILE_OUTBOUND_BYTES: Final = 16 * 1024
"""Above this many unsent bytes positions and CITY frames are dropped: the next one is newer."""
NOTSENT_LOWAT_BYTES: Final = 16 * 1024
"""TCP_NOTSENT_LOWAT: the kernel hides no more than this from the bound above."""
CLOSE_WITHIN_S: Final = 2.0
"""How long a closing handshake, or the rest of an over-long frame, is waited for."""
MAX_CARDS_BEFORE_WELCOME: Final = 64
"""Cards kept for a socket whose snapshot is being read; open offers are at most 10 per hustler."""

# ── All sockets ──────────────────────────────────────────────────────────────────────────────────
SOCKETS_PER_USER: Final = 5
"""The one silent for longest is closed when one more authenticates (4203)."""
MAX_UNAUTHENTICATED: Final = 2_000
"""Sockets that have not authenticated yet; more are refused with 503 before the upgrade."""
MAX_UNAUTHENTICATED_PER_ADDRESS: Final = 1_000
"""Of these the sockets of one address; more are refused with 429 before the upgrade."""
MAX_SOCKETS: Final = 18_000
"""Sockets of a process; more are refused with 503 before the upgrade. With polls and the servers'
own connections they stay below the 20,000 file descriptors a process should be given."""
FANOUT_SLICE: Final = 256
"""Writes per turn of the loop, so that a large fan-out delays nobody else."""
CARD_ACKS_KEPT: Final = 100_000
"""Cards taken by sockets and not written down yet; those beyond are sent and reported again."""
AUTH_WINDOW_S: Final = 0.010
"""Sessions that authenticate within this window share a query each for their accounts, their
snapshots and what they missed."""
AUTH_WINDOW_MAX_S: Final = 0.4
"""In a storm, where somebody comes in each window, so many share it."""
ACCOUNT_BATCH: Final = 500
"""Token subjects per query."""
SNAPSHOT_BATCH: Final = 500
"""Users per snapshot query."""
MISSED_EVENTS_BATCH: Final = 256
"""Users per query of missed events: each may get a page of 200."""
CATCHUP_EVERY_S: Final = 1.0
"""How often a process asks what changed, and looks at whoever has come meanwhile."""
BUS_HELLO_EVERY_S: Final = 1.0
"""How often a process says to the others that it is there."""
BUS_PEER_S: Final = 60.0
"""For so long a process counts as there after it was last heard."""
BUS_WAITING_MAX: Final = 20_000
"""Messages to other processes that wait to be sent; more are dropped, and found otherwise."""
BUS_LOST_LOOK_EVERY_S: Final = 2.0
"""How often a process that does not hear the others looks for cards that its hustlers wait for."""
LAST_REQUESTS_S: Final = 0.3
"""So long a process that accepts nobody any more waits for the requests of its last connections."""
DRAIN_EVERY_S: Final = 0.1
"""Between two batches of sockets that are told to come back elsewhere."""
COMPARE_BATCH: Final = 2_000
"""Users, broadcasts or hustlers in one query, where all must be compared."""
CLOSED_REMEMBERED_S: Final = 900.0
"""A card of a broadcast that ended within this time is dropped."""
POLL_MAX_S: Final = 25.0
"""Longest long poll."""
POLLS_PER_USER: Final = 4
"""The oldest is answered when a user opens one more."""
MAX_POLLS: Final = 1_000
"""Long polls and event streams of a process; more are refused with 503."""
POLL_GRACE_S: Final = 60.0
"""A caller who polled this recently still counts as connected between two polls."""

STREAMS_PER_USER: Final = 4
"""The oldest is closed when a user opens one more (4304)."""
STREAM_HEARTBEAT_S: Final = 15.0
"""A stream that has nothing to tell writes a comment this often: proxies cut what is silent for
30 to 60 s, and a client that hears nothing for twice as long comes again."""
STREAM_RETRY_MS: Final = 1_000
"""Told at the start of a stream: how long an EventSource waits before it comes again."""
STREAM_DRAIN_RETRY_MS: Final = (200, 3_000)
"""Told to the streams of a service that stops: each draws its wait from here, so that they do not
all come at once."""

# ── Uploads ──────────────────────────────────────────────────────────────────────────────────────
UPLOADS_AT_ONCE: Final = 16
"""Uploads of a process that are being received or checked, each with up to 10 MiB of memory; more
are refused with 503."""
UPLOADS_AT_ONCE_PER_USER: Final = 3
"""Of these the uploads of one user; more are answered RATE_LIMITED."""
UPLOAD_WITHIN_S: Final = 120.0
"""A body that is not complete by then is given up: 10 MiB take that long at 0.7 Mbit/s."""
PHOTO_CACHED_S: Final = 3_600
"""How long a viewer's own cache may keep a photo."""

# ── Positions ────────────────────────────────────────────────────────────────────────────────────
HEARTBEAT_WINDOW_S: Final = 0.005
"""Heartbeats of this window go to Valkey in one pipeline."""
HEARTBEAT_BATCH: Final = 1_000
"""Heartbeats per pipeline."""
LAST_SEEN_EVERY_S: Final = 5.0
"""Frames without a position refresh last-seen at most this often; it lasts 90 s."""
PRESENT_S: Final = 90.0
"""Presence ends this long after the last heartbeat (design §2, Live mode)."""
REWRITE_WITHIN_S: Final = 2.0
"""After Valkey was lost all live positions are written back within this time."""
IDLE_ENDS_SESSION_S: Final = 300.0
"""A session away for this long ends as OFFLINE unless its hustler holds a task."""
IDLE_SWEEP_EVERY_S: Final = 15.0
"""How often a process looks for hustlers of its own who have fallen silent."""
ORPHAN_SWEEP_EVERY_S: Final = 120.0
"""How often one process looks through all open sessions for those that no process keeps up."""
ORPHAN_BATCH: Final = 1_000
"""Sessions that are looked at by one query then."""
ENDED_AT_ONCE: Final = 8
"""Sessions of hustlers who are away that one process ends at the same time."""
POSTER_VIEW_EVERY_S: Final = 1.0
"""HUSTLER_LOCATION per task at most this often."""

# ── City feed ────────────────────────────────────────────────────────────────────────────────────
CITY_EVERY_S: Final = 0.5
"""CITY frames at most this often."""
MAX_CITY_TASKS: Final = 2_000
"""Tasks in one CITY frame, newest first."""
MAX_CITY_HUSTLERS: Final = 5_000
"""Hustlers in one CITY frame, those in LIVE mode for longest first; `stats.live` counts all."""

# ── Rates: (per second, burst) ───────────────────────────────────────────────────────────────────
RATE: Final = (30.0, 90.0)
"""All messages of one socket."""
RATE_OF: Final[dict[str, tuple[float, float]]] = {
    "AUTH": (0.1, 6.0),
    "PING": (2.0, 20.0),
    "SUBSCRIBE_LIVE_MODE": (0.5, 10.0),
    "UNSUBSCRIBE_LIVE_MODE": (0.5, 10.0),
    "UPDATE_LOCATION": (10.0, 30.0),
    "RESPOND_TO_BROADCAST": (5.0, 30.0),
    "SUBSCRIBE_TASK": (5.0, 40.0),
    "UNSUBSCRIBE_TASK": (5.0, 40.0),
    "ACK": (20.0, 60.0),
    "SUBSCRIBE_CITY": (0.5, 5.0),
    "UNSUBSCRIBE_CITY": (0.5, 5.0),
}
"""One kind of message on one socket."""
FLOOD: Final = (1.0, 60.0)
"""Refused messages a socket may cause before it is closed (4200): per second, and at once."""
CONTROL: Final = (10.0, 100.0)
"""Pings, pongs and continuation frames of one socket; more close it (4200)."""
BAD_AUTH_WAITS_S: Final = 5.0
"""An address beyond its bad tokens waits so long for the answer to each further one."""

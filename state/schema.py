"""The tables, as SQLAlchemy Core knows them. Times are float seconds since 1970, UTC.

The migrations create them, with the triggers that keep ``counts`` and ``pace`` exact and refuse to change a
review; a test holds this file to what the migrations make.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers its rows only under the name INTEGER


def _queue_index(name: str, condition: str) -> Index:
    """The claim reads this from the front: its columns are exactly the claim's ORDER BY."""
    return Index(
        name,
        text("priority DESC"),
        text("id"),
        sqlite_where=text(condition),
        postgresql_where=text(condition),
    )


targets = Table(
    "targets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False, server_default=""),  # the last that was recorded
    Column("priority", Double, nullable=False, server_default=text("0")),
    Column("sector", Integer),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # claims since the last progress
    Column("deferrals", Integer, nullable=False, server_default=text("0")),  # DEFERRED in a row
    Column("suspect", Boolean, nullable=False, server_default=text("false")),
    Column("next_at", Double),
    Column("owner", Text),
    Column("token", _Id, nullable=False, server_default=text("0")),
    Column("claimed_at", Double),
    Column("inputs", Text, nullable=False),
    Column("model", Text),  # sha256 of the model that scored it
    Column("sources", Text, nullable=False, server_default="[]"),  # JSON
    Column("star", Text, nullable=False, server_default="{}"),  # JSON
    Column("error_class", Text),
    Column("error", Text),
    Column("best_period", Double),
    Column("best_snr", Double),
    Column("added_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("remote", Boolean, nullable=False, server_default=text("false")),  # its files come from far away
    Column("ready", Boolean, nullable=False, server_default=text("true")),  # its files are here
    UniqueConstraint("kind", "key", name="targets_kind_key"),
    _queue_index("targets_queue", "status = 'QUEUED' AND ready AND NOT suspect"),
    _queue_index("targets_suspects", "status = 'QUEUED' AND ready AND suspect"),
    _queue_index("targets_wanted", "status = 'QUEUED' AND NOT ready AND NOT suspect"),
    _queue_index("targets_wanted_suspects", "status = 'QUEUED' AND NOT ready AND suspect"),
    Index(
        "targets_deferred",
        "next_at",
        sqlite_where=text("status = 'DEFERRED'"),
        postgresql_where=text("status = 'DEFERRED'"),
    ),
    Index(
        "targets_running",
        "owner",
        sqlite_where=text("status = 'RUNNING'"),
        postgresql_where=text("status = 'RUNNING'"),
    ),
    Index(
        "targets_failed",
        "error_class",
        "id",
        sqlite_where=text("error_class IS NOT NULL"),
        postgresql_where=text("error_class IS NOT NULL"),
    ),
)

phase_runs = Table(
    "phase_runs",
    metadata,
    Column("target_id", _Id, ForeignKey("targets.id"), primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("item", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("device", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

signals = Table(
    "signals",
    metadata,
    Column("target_id", _Id, ForeignKey("targets.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("period", Double, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("duration", Double, nullable=False),
    Column("depth", Double, nullable=False),
    Column("snr", Double, nullable=False),
    Column("sde", Double),
    Column("period_err", Double),
    Column("epoch_err", Double),
    Column("duration_err", Double),
    Column("depth_err", Double),
    Column("bls_power", Double),
    Column("n_transits", Integer),
    Column("single_event_share", Double),
    Column("false_alarm_probability", Double),
    Column("template", Text, nullable=False),
    Column("alias_of", Integer),
    Column("probability", Double),
    Column("findings", Text, nullable=False, server_default="[]"),  # JSON: what each vetting test said
    Column("detectors", Text, nullable=False, server_default="[]"),  # JSON: [sector, camera, CCD] that saw the star
    sqlite_with_rowid=False,
)

# What a signal has in common with those of other stars. Period and epoch tell of which signal it was said: after a new
# hunt another one may bear the number, until the stars are compared again.
shared_signals = Table(
    "shared_signals",
    metadata,
    Column("target_id", _Id, ForeignKey("targets.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),  # "ephemeris" or "times"
    Column("period", Double, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("stars", Integer, nullable=False),
    Column("source", Text),  # name of the star with the deepest, where there is one
    Column("chance", Double, nullable=False),
    Column("words", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

candidates = Table(
    "candidates",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("target_id", _Id, ForeignKey("targets.id"), nullable=False),
    Column("ephemeris_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("period", Double, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("duration", Double, nullable=False),
    Column("depth", Double, nullable=False),
    Column("snr", Double, nullable=False),
    Column("sde", Double),
    Column("probability", Double),
    Column("disposition", Text, nullable=False),
    Column("flux", Text, nullable=False, server_default=""),
    Column("json_file", Text, nullable=False),
    Column("json_sha256", Text, nullable=False),
    Column("png_file", Text, nullable=False),
    Column("png_sha256", Text, nullable=False),
    Column("pdf_file", Text, nullable=False, server_default=""),
    Column("pdf_sha256", Text, nullable=False, server_default=""),
    Column("html_file", Text, nullable=False),
    Column("html_sha256", Text, nullable=False),
    Column("published_at", Double, nullable=False),
    UniqueConstraint("target_id", "ephemeris_key", name="candidates_target_ephemeris"),
    UniqueConstraint("name", name="candidates_name"),
    Index("candidates_probability", "probability"),
    Index("candidates_published", "published_at"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("target_id", _Id, ForeignKey("targets.id"), nullable=False),
    Column("ephemeris_key", Text, nullable=False),  # no key into candidates: a review outlives a new hunt
    Column("candidate", Text, nullable=False),  # its name when it was reviewed
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("reviews_target_ephemeris", "target_id", "ephemeris_key"),
)

events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", Double, nullable=False),
    Column("level", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("target_id", _Id, ForeignKey("targets.id")),
    Index("events_at", "at"),
)

moves = Table(
    "moves",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("target_id", _Id, ForeignKey("targets.id"), nullable=False),
    Column("came_from", Text, nullable=False),
    Column("went_to", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("token", _Id, nullable=False),
    Index("moves_target", "target_id"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("stopped_at", Double),
    Column("role", Text, nullable=False, server_default="worker"),  # worker, courier, daemon or device
)

# One row for each sector and product that was ever looked for; hunter/releases.py moves its status.
releases = Table(
    "releases",
    metadata,
    Column("sector", Integer, primary_key=True, autoincrement=False),
    Column("product", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("count", Integer),  # rows the archive counts; NULL before it answered
    Column("script_lines", Integer),
    Column("script_hash", Text),
    Column("script_etag", Text),
    Column("script_modified", Text),
    Column("same_polls", Integer, nullable=False, server_default=text("0")),
    Column("same_since", Double),
    Column("polled_at", Double),  # last answer
    Column("looked_at", Double),  # last question, answered or not
    Column("failed_polls", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("listed", Integer, nullable=False, server_default=text("0")),
    Column("enumerated_at", Double),
    Column("described_at", Double),  # when the catalogue was asked about its stars
    Column("note", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

# Every file an archive lists, and what lies here of it.
products = Table(
    "products",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # kind and key of the target it belongs to
    Column("key", Text, nullable=False),
    Column("sector", Integer),
    Column("product", Text, nullable=False),
    Column("version", Text, nullable=False, server_default=""),  # changes when the archive replaces the file
    Column("size_advised", _Id),
    Column("listed_at", Double, nullable=False),
    Column("delisted_at", Double),
    Column("path", Text),  # NULL while it is not here
    Column("size", _Id),
    Column("sha256", Text),
    Column("etag", Text),
    Column("processing", Text),
    Column("data_release", Integer),
    Column("created", Text),
    Column("retrieved_at", Double),
    Column("used_at", Double),
    Column("failures", Text, nullable=False, server_default="[]"),  # JSON: [check, sha256] of each refused download
    Index("products_target", "kind", "key"),
    Index("products_sector", "sector", "product"),
    Index(
        "products_here",
        "used_at",
        sqlite_where=text("path IS NOT NULL"),
        postgresql_where=text("path IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Messages to people, written in the transaction of what they tell, and marked when they are sent.
outbox = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("dedup", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("created_at", Double, nullable=False),
    Column("status", Text, nullable=False, server_default="waiting"),  # waiting, sent or dead
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_at", Double, nullable=False),
    Column("sent_at", Double),
    Column("error", Text),
    UniqueConstraint("dedup", "channel", name="outbox_dedup_channel"),
    Index(
        "outbox_waiting",
        "next_at",
        sqlite_where=text("status = 'waiting'"),
        postgresql_where=text("status = 'waiting'"),
    ),
)

# Kept by trigger. What counts is the sum over the slots: on PostgreSQL each server process counts in a slot
# of its own, so that no two workers wait for one another's counter; on SQLite there is slot 0 only.
counts = Table(
    "counts",
    metadata,
    Column("what", Text, primary_key=True),  # "status", "phase" or "error"
    Column("name", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("n", _Id, nullable=False),
    sqlite_with_rowid=False,
)

# Targets finished in each ten seconds, kept by trigger: "in the last 24 hours" is then a sum of 8,640 rows
# however fast the hunt is, where counting a million moves through an index took 60 ms.
pace = Table(
    "pace",
    metadata,
    Column("slice", _Id, primary_key=True, autoincrement=False),  # seconds since 1970, divided by 10
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("n", _Id, nullable=False),
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

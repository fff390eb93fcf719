"""The first tables, their indexes, and the triggers that keep counts and guard reviews.

Written out and never changed again: a database of any age climbs from here by the same steps.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FINISHED = "('CANDIDATE', 'CLEARED', 'NO_SIGNAL', 'NO_DATA', 'UNUSABLE', 'QUARANTINED')"


def upgrade() -> None:
    create_tables()
    triggers = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL
    for statement in triggers:
        op.get_bind().exec_driver_sql(statement)


def create_tables() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

    op.create_table(
        "targets",
        sa.Column("id", number, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False, server_default=""),
        sa.Column("priority", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("sector", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("deferrals", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("suspect", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("next_at", sa.Double),
        sa.Column("owner", sa.Text),
        sa.Column("token", number, nullable=False, server_default=sa.text("0")),
        sa.Column("claimed_at", sa.Double),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("sources", sa.Text, nullable=False, server_default="[]"),
        sa.Column("star", sa.Text, nullable=False, server_default="{}"),
        sa.Column("error_class", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("best_period", sa.Double),
        sa.Column("best_snr", sa.Double),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.UniqueConstraint("kind", "key", name="targets_kind_key"),
    )
    partial_index("targets_queue", ["priority DESC", "id"], "status = 'QUEUED' AND NOT suspect")
    partial_index("targets_suspects", ["priority DESC", "id"], "status = 'QUEUED' AND suspect")
    partial_index("targets_deferred", ["next_at"], "status = 'DEFERRED'")
    partial_index("targets_running", ["owner"], "status = 'RUNNING'")
    partial_index("targets_failed", ["error_class", "id"], "error_class IS NOT NULL")

    op.create_table(
        "phase_runs",
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), primary_key=True),
        sa.Column("phase", sa.Text, primary_key=True),
        sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "signals",
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("period", sa.Double, nullable=False),
        sa.Column("epoch", sa.Double, nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("depth", sa.Double, nullable=False),
        sa.Column("snr", sa.Double, nullable=False),
        sa.Column("sde", sa.Double),
        sa.Column("period_err", sa.Double),
        sa.Column("epoch_err", sa.Double),
        sa.Column("duration_err", sa.Double),
        sa.Column("depth_err", sa.Double),
        sa.Column("bls_power", sa.Double),
        sa.Column("n_transits", sa.Integer),
        sa.Column("single_event_share", sa.Double),
        sa.Column("false_alarm_probability", sa.Double),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("alias_of", sa.Integer),
        sa.Column("probability", sa.Double),
        sa.Column("findings", sa.Text, nullable=False, server_default="[]"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "candidates",
        sa.Column("id", number, primary_key=True),
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), nullable=False),
        sa.Column("ephemeris_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("period", sa.Double, nullable=False),
        sa.Column("epoch", sa.Double, nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("depth", sa.Double, nullable=False),
        sa.Column("snr", sa.Double, nullable=False),
        sa.Column("sde", sa.Double),
        sa.Column("probability", sa.Double),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("json_file", sa.Text, nullable=False),
        sa.Column("json_sha256", sa.Text, nullable=False),
        sa.Column("png_file", sa.Text, nullable=False),
        sa.Column("png_sha256", sa.Text, nullable=False),
        sa.Column("html_file", sa.Text, nullable=False),
        sa.Column("html_sha256", sa.Text, nullable=False),
        sa.Column("published_at", sa.Double, nullable=False),
        sa.UniqueConstraint("target_id", "ephemeris_key", name="candidates_target_ephemeris"),
        sa.UniqueConstraint("name", name="candidates_name"),
    )
    op.create_index("candidates_probability", "candidates", ["probability"])
    op.create_index("candidates_published", "candidates", ["published_at"])

    op.create_table(
        "reviews",
        sa.Column("id", number, primary_key=True),
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), nullable=False),
        sa.Column("ephemeris_key", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("reviews_target_ephemeris", "reviews", ["target_id", "ephemeris_key"])

    op.create_table(
        "events",
        sa.Column("id", number, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("target_id", number, sa.ForeignKey("targets.id")),
    )
    op.create_index("events_at", "events", ["at"])

    op.create_table(
        "moves",
        sa.Column("id", number, primary_key=True),
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), nullable=False),
        sa.Column("came_from", sa.Text, nullable=False),
        sa.Column("went_to", sa.Text, nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("token", number, nullable=False),
    )
    op.create_index("moves_target", "moves", ["target_id"])

    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("heartbeat", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("stopped_at", sa.Double),
    )

    op.create_table(
        "counts",
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", number, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pace",
        sa.Column("slice", number, primary_key=True, autoincrement=False),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", number, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def partial_index(name: str, columns: list[str], condition: str) -> None:
    op.create_index(
        name,
        "targets",
        [sa.text(column) for column in columns],
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )


def _add(what: str, name: str, n: int, condition: str = "true") -> str:
    """One SQLite statement that adds ``n`` to a counter."""
    return (
        f"INSERT INTO counts (what, name, slot, n) SELECT '{what}', {name}, 0, {n} WHERE {condition} "
        "ON CONFLICT (what, name, slot) DO UPDATE SET n = n + excluded.n;"
    )


def _refuse(action: str) -> str:
    return (
        f"CREATE TRIGGER reviews_no_{action.lower()} BEFORE {action} ON reviews "
        "BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END"
    )


SQLITE = (
    f"""CREATE TRIGGER targets_inserted AFTER INSERT ON targets BEGIN
        {_add("status", "NEW.status", 1)}
        {_add("error", "NEW.error_class", 1, "NEW.error_class IS NOT NULL")}
    END""",
    f"""CREATE TRIGGER targets_deleted AFTER DELETE ON targets BEGIN
        {_add("status", "OLD.status", -1)}
        {_add("error", "OLD.error_class", -1, "OLD.error_class IS NOT NULL")}
    END""",
    f"""CREATE TRIGGER targets_moved AFTER UPDATE OF status ON targets WHEN NEW.status <> OLD.status BEGIN
        {_add("status", "OLD.status", -1)}
        {_add("status", "NEW.status", 1)}
    END""",
    f"""CREATE TRIGGER targets_failed_otherwise AFTER UPDATE OF error_class ON targets
        WHEN NEW.error_class IS NOT OLD.error_class BEGIN
        {_add("error", "OLD.error_class", -1, "OLD.error_class IS NOT NULL")}
        {_add("error", "NEW.error_class", 1, "NEW.error_class IS NOT NULL")}
    END""",
    f"""CREATE TRIGGER phase_runs_inserted AFTER INSERT ON phase_runs WHEN NEW.item IN (0, 1) BEGIN
        {_add("phase", "NEW.phase", 1)}
    END""",
    f"""CREATE TRIGGER phase_runs_deleted AFTER DELETE ON phase_runs WHEN OLD.item IN (0, 1) BEGIN
        {_add("phase", "OLD.phase", -1)}
    END""",
    f"""CREATE TRIGGER moves_inserted AFTER INSERT ON moves WHEN NEW.went_to IN {FINISHED} BEGIN
        INSERT INTO pace (slice, slot, n) SELECT CAST(NEW.at / 10 AS INTEGER), 0, 1 WHERE true
        ON CONFLICT (slice, slot) DO UPDATE SET n = n + 1;
    END""",
    _refuse("UPDATE"),
    _refuse("DELETE"),
)


def _fold(table: str, delta: str) -> str:
    """One PL/pgSQL statement that adds a whole statement's changes to this server process's slot."""
    names = "what, name" if table == "counts" else "slice"
    return (
        f"INSERT INTO {table} AS c ({names}, slot, n) "
        f"SELECT {names}, pg_backend_pid(), sum(n) FROM ({delta}) AS delta GROUP BY {names} HAVING sum(n) <> 0 "
        f"ON CONFLICT ({names}, slot) DO UPDATE SET n = c.n + excluded.n;"
    )


_CAME = (
    "SELECT 'status' AS what, status AS name, 1 AS n FROM came "
    "UNION ALL SELECT 'error', error_class, 1 FROM came WHERE error_class IS NOT NULL"
)
_WENT = (
    "SELECT 'status' AS what, status AS name, -1 AS n FROM went "
    "UNION ALL SELECT 'error', error_class, -1 FROM went WHERE error_class IS NOT NULL"
)
_PHASE_CAME = "SELECT 'phase' AS what, phase AS name, 1 AS n FROM came WHERE item IN (0, 1)"
_PHASE_WENT = "SELECT 'phase' AS what, phase AS name, -1 AS n FROM went WHERE item IN (0, 1)"


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"


def _trigger(name: str, event: str, table: str, function: str) -> str:
    went = "OLD TABLE AS went" if event in ("UPDATE", "DELETE") else ""
    came = "NEW TABLE AS came" if event in ("UPDATE", "INSERT") else ""
    return (
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {went} {came} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )


POSTGRESQL = (
    _function("targets_came", _fold("counts", _CAME)),
    _function("targets_went", _fold("counts", _WENT)),
    _function("targets_changed", _fold("counts", f"{_CAME} UNION ALL {_WENT}")),
    _function("phase_runs_came", _fold("counts", _PHASE_CAME)),
    _function("phase_runs_went", _fold("counts", _PHASE_WENT)),
    _function(
        "moves_came",
        _fold(
            "pace",
            f"SELECT CAST(floor(at / 10) AS bigint) AS slice, 1 AS n FROM came WHERE went_to IN {FINISHED}",
        ),
    ),
    _trigger("targets_inserted", "INSERT", "targets", "targets_came"),
    _trigger("targets_deleted", "DELETE", "targets", "targets_went"),
    _trigger("targets_updated", "UPDATE", "targets", "targets_changed"),
    _trigger("phase_runs_inserted", "INSERT", "phase_runs", "phase_runs_came"),
    _trigger("phase_runs_deleted", "DELETE", "phase_runs", "phase_runs_went"),
    _trigger("moves_inserted", "INSERT", "moves", "moves_came"),
    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'reviews are append-only'; END $$",
    "CREATE TRIGGER reviews_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reviews "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)

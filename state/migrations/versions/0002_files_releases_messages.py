"""What an archive far away needs: releases, products, who waits for files; messages that are owed; the sheet as a PDF.

A target whose files come from far away is ``remote``, and ``ready`` once they lie on the disk; those of a folder are
always ready. The queue is read in two parts: what can be computed, and what has to be fetched.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

    op.add_column("targets", sa.Column("remote", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("targets", sa.Column("ready", sa.Boolean, nullable=False, server_default=sa.text("true")))
    op.add_column("workers", sa.Column("role", sa.Text, nullable=False, server_default="worker"))
    op.add_column("candidates", sa.Column("pdf_file", sa.Text, nullable=False, server_default=""))
    op.add_column("candidates", sa.Column("pdf_sha256", sa.Text, nullable=False, server_default=""))
    op.drop_index("targets_queue", "targets")
    op.drop_index("targets_suspects", "targets")
    front("targets_queue", "status = 'QUEUED' AND ready AND NOT suspect")
    front("targets_suspects", "status = 'QUEUED' AND ready AND suspect")
    front("targets_wanted", "status = 'QUEUED' AND NOT ready AND NOT suspect")
    front("targets_wanted_suspects", "status = 'QUEUED' AND NOT ready AND suspect")

    op.create_table(
        "releases",
        sa.Column("sector", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("product", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("count", sa.Integer),
        sa.Column("script_lines", sa.Integer),
        sa.Column("script_hash", sa.Text),
        sa.Column("script_etag", sa.Text),
        sa.Column("script_modified", sa.Text),
        sa.Column("same_polls", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("same_since", sa.Double),
        sa.Column("polled_at", sa.Double),
        sa.Column("looked_at", sa.Double),
        sa.Column("failed_polls", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("listed", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("enumerated_at", sa.Double),
        sa.Column("described_at", sa.Double),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "products",
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sector", sa.Integer),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False, server_default=""),
        sa.Column("size_advised", number),
        sa.Column("listed_at", sa.Double, nullable=False),
        sa.Column("delisted_at", sa.Double),
        sa.Column("path", sa.Text),
        sa.Column("size", number),
        sa.Column("sha256", sa.Text),
        sa.Column("etag", sa.Text),
        sa.Column("processing", sa.Text),
        sa.Column("data_release", sa.Integer),
        sa.Column("created", sa.Text),
        sa.Column("retrieved_at", sa.Double),
        sa.Column("used_at", sa.Double),
        sa.Column("failures", sa.Text, nullable=False, server_default="[]"),
        sqlite_with_rowid=False,
    )
    op.create_index("products_target", "products", ["kind", "key"])
    op.create_index("products_sector", "products", ["sector", "product"])
    here = sa.text("path IS NOT NULL")
    op.create_index("products_here", "products", ["used_at"], sqlite_where=here, postgresql_where=here)

    op.create_table(
        "outbox",
        sa.Column("id", number, primary_key=True),
        sa.Column("dedup", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("dedup", "channel", name="outbox_dedup_channel"),
    )
    waiting = sa.text("status = 'waiting'")
    op.create_index("outbox_waiting", "outbox", ["next_at"], sqlite_where=waiting, postgresql_where=waiting)


def front(name: str, condition: str) -> None:
    """An index that a claim reads from the front."""
    op.create_index(
        name,
        "targets",
        [sa.text("priority DESC"), sa.text("id")],
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )

"""Which detectors saw a signal, and what signals of several stars have in common."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

    op.add_column("signals", sa.Column("detectors", sa.Text, nullable=False, server_default="[]"))
    op.create_table(
        "shared_signals",
        sa.Column("target_id", number, sa.ForeignKey("targets.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("period", sa.Double, nullable=False),
        sa.Column("epoch", sa.Double, nullable=False),
        sa.Column("stars", sa.Integer, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("chance", sa.Double, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )

"""What the tests of the light curve alone make of a candidate."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("candidates", sa.Column("flux", sa.Text, nullable=False, server_default=""))

"""Run by alembic: bring the connection it is handed to the newest revision, in that connection's transaction.

A new revision is a new file in ``versions/`` (copy the last one), and its number becomes ``HEAD`` in
``state/place.py``.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

"""Alembic's entry: runs the migrations on the connection that `interlock.database.migrating` passes."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
with context.begin_transaction():
    context.run_migrations()

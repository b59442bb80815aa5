"""Alembic's environment: migrates over the connection it is handed, within that connection's transaction."""

from alembic import context

from records.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

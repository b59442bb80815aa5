"""The schema's history: Alembic's environment and one revision a change. Run by `records.database.upgrade`."""

"""What outlives Temporal's retention and what people edit: the tables, their migrations, one small store a question."""

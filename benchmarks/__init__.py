"""How cheap and how fast: each program measures one thing as a ratio or a count, and says what it was measured against."""

"""The revisions, each on top of the one that it names."""

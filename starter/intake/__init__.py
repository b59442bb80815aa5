"""Adapters: each maps one delivery of one source to events with the times of the source; pure, and knowing `sla` alone."""

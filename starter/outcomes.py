"""What becomes of a delivery, and the signs for it: what a colour says, a sign says as well."""

from typing import Final, Literal

Outcome = Literal["accepted", "duplicate", "ignored", "spooled", "kept", "refused"]
MEANS: Final[dict[str, tuple[str, str]]] = {
    "accepted": ("✓", "Temporal has it"),
    "duplicate": ("=", "it came before"),
    "ignored": ("·", "it tells us nothing"),
    "spooled": ("…", "it waits in the records for Temporal"),
    "kept": ("!", "it is a dead letter: it could not be read, or be brought to anybody"),
    "refused": ("✗", "it was not taken, and its sender was told so"),
}
"""Each outcome's sign, and what it means."""

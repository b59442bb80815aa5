"""Where an installation keeps its things: the state folder with its database and log, and the policies beside it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "PACTKEEPER_STATE"
DATABASE_VARIABLE: Final = "PACTKEEPER_DATABASE"
DEBUG_VARIABLE: Final = "PACTKEEPER_DEBUG"


class SettingError(ValueError):
    """A setting of this installation can't be used; the message is one sentence that says which."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one installation (`$PACTKEEPER_STATE`, else `var/`) and its database (`$PACTKEEPER_DATABASE`)."""

    state: Path
    named_database: str = ""
    """A URL; empty: a SQLite file in the folder."""

    @classmethod
    def here(cls, state: Path | None = None, environ: Mapping[str, str] = os.environ) -> "Home":
        """This process's installation; `state` wins over the environment."""
        folder = state or Path(environ.get(STATE_VARIABLE, "").strip() or "var")
        return cls(folder, environ.get(DATABASE_VARIABLE, "").strip())

    @property
    def database(self) -> str:
        """The URL of the database."""
        from records.database import default_url

        return self.named_database or default_url(self.state)

    @property
    def log(self) -> Path:
        """What went on, for whoever looks into a fault."""
        return self.state / "pactkeeper.log"

"""A built wheel is the pure library, so it does not promise the application's command, whose code is not in it."""

from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel


class LibraryWheel(bdist_wheel):
    """The wheel of `sla` alone. An editable install borrows only parts of this and keeps the command."""

    whole = False

    def run(self) -> None:
        """Build the wheel as a whole."""
        self.whole = True
        super().run()

    def write_wheelfile(self, wheelfile_base: str, *args: object, **kwargs: object) -> None:
        """Finish the wheel's metadata, less the command."""
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        if self.whole:
            Path(wheelfile_base, "entry_points.txt").unlink(missing_ok=True)


setup(cmdclass={"bdist_wheel": LibraryWheel})

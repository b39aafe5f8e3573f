"""The exit statuses of `routing-sync`."""

from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
"""Some input could not be read or handled, a service refused to work, or the output was lost."""
EXIT_WRONG_USAGE: Final = 2
"""Wrong arguments or settings."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C, as shells report it."""

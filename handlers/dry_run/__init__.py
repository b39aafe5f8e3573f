"""The questions of `decide`: a hypothetical event or update is decided by the worker's own rules and commands."""

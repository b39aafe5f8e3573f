"""The looks at a database before the worker uses it, and those of `routing-sync doctor`."""

"""The settings by subject; `settings` puts them together."""

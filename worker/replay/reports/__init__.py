"""The reports of a replay: as text for people, and as JSON."""

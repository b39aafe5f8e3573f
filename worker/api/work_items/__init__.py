"""The routes of work-items, the updates under way, and their schemas."""

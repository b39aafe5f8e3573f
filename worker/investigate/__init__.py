"""Investigation: from captured events and log lines to what happened, and why."""

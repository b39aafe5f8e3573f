"""What this process keeps for the status page: its last decisions, and its dead letters by code."""

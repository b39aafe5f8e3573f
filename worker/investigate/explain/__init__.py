"""One conversation explained: its past out of the store and out of logs, and the answer to who did what, and why."""

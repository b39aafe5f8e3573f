"""Services that every part of the process uses: clock, backoff, store availability, shutdown, unexpected errors."""

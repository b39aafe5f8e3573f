"""The way of a message: receive, read, handle in a lane, settle."""

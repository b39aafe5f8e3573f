"""The work-item aggregate, pure: an update goes in; the work-item after it and its places on the sessions come out.

It knows nothing of conversations, events or I/O, and takes the time as an argument (docs/commands.md).
"""

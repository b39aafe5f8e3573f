"""The work-item aggregate, pure: updates in, the work-item after and the places on sessions out.

It knows nothing of conversations, events or I/O, and takes the time as an argument (design: commands.md).
"""

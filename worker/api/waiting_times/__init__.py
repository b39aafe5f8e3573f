"""The routes of waiting times, and the range of time that a client asks for."""

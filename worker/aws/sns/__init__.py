"""SNS: the adapter of the port `Topics`, and the transport over signed HTTP."""

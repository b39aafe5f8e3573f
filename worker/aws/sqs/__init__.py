"""SQS: the adapters of the ports, and the transport over signed HTTP."""

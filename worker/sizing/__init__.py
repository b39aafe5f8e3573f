"""What a load takes and what it costs, by the measured costs of one event: `routing-sync size` and `make scale`."""

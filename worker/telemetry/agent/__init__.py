"""The Datadog agent: its address, the socket to it, and the metrics that go through."""

"""The use case: a batch of events in, plans to the store, outcomes and audit records out.

Reads the wire, owns the ports it needs (store, clock, ids) and knows no adapter behind them.
"""

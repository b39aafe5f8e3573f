"""The parts that both stores share, and the store in memory."""

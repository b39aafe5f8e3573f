"""The store in memory, with the ports beside it: for tests, simulations and replay."""

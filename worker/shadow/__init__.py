"""Reads the audit lines of workers under `SYNC_POLICY=shadow` and says whether it is safe to move to `causal`."""

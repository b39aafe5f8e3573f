"""The adapters of the ports beside the store."""

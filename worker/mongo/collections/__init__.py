"""The ports beside the store, each on the collections that it reads and writes."""

"""The commands of a batch on MongoDB: the reads before its transaction, and the writes inside."""

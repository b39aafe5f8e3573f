"""The command line: one module for each verb, and `terminal`, which they share."""

"""The command line: a file a verb, and what the verbs share."""

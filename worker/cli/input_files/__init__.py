"""The verbs that read files: captured events, questions, audit lines."""

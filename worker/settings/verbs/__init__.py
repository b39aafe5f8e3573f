"""The settings of the verbs that need others than `routing-sync run`."""

"""The planners: one for each policy, one for the sweep, and one for an update of the API."""

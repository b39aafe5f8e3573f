"""The draft of a conversation's pair: its records, what events and decisions change, and the plan."""

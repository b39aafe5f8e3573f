"""The verb `sweep`, and what it says of the pairs that it leaves alone."""

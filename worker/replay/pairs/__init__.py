"""The pairs of a capture: what they begin with, what is known of one record alone, and how they are kept."""

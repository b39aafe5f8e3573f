"""The timeline of one pair: every revision of both records, which sync answers which write, and the findings."""

"""The findings of a timeline, a file for each kind. A finding rests on entries, and says which entries are missing."""

"""The generators of the pages and blocks of docs/ that come from the code."""

"""The verbs that tell a pair's history, and its forms on a terminal and on a page."""

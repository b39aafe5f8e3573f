"""The report of a timeline as one page that needs nothing else, and the drawing that the pair's page shows, too."""

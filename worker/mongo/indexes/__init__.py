"""The collections' indexes: their definitions, and how a start makes them."""

"""`import`: messy captures to clean ones."""

"""The repair of damaged JSON: a tolerant reader, and what each repair assumed."""

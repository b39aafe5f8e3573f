"""The store, the outbox and the waiting pairs on MongoDB; the only package that imports pymongo and bson."""

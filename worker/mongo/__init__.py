"""The store, the outbox and the sync states by age on MongoDB; the only package that imports pymongo and bson."""

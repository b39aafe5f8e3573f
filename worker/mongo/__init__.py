"""The stores on MongoDB; the only package that imports pymongo and bson.

| room or file | holds |
|---|---|
| `store` | the store of the use cases |
| `batch/` | its commands: the reads before a transaction, the writes inside |
| `adapters/` | the adapters of the other ports |
| `indexes/` | the indexes' definitions, and how a start makes them |
| `checks/` | the looks at a database before the worker uses it, and those of `doctor` |
| `client`, `database`, `stored_types` | the client, the calls' deadline and concerns, values as BSON |
| `errors`, `setup_errors`, `driver_words` | the driver's exceptions translated |
"""

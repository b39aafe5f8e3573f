"""The two sync calculators, pure: a conversation and its work-item in, what to write and why out.

It knows nothing of SQS, MongoDB, asyncio, logging or the clock (design: sync-rules.md).
"""

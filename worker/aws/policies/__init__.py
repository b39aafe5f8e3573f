"""The policies on the way from a topic to the queue, judged by what must come through."""

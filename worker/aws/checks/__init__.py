"""Calls that only look: what AWS answers about topics, queues, subscriptions and rights."""

"""The two engines that carry out an update, and the rollout that chooses between them."""

"""The two engines that carry out an update, and the roll-out that chooses between them."""

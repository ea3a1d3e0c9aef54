"""What every plug-in and step shares: contracts, artifacts on disk, the training loop, statistics."""

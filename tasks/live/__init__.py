"""The rollout that is live, as the keeper tells it over HTTP: for the terminal and for the registry's follower."""

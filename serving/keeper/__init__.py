"""The one process that moves the control row: it judges, obeys its administrator, and shows the rollout."""

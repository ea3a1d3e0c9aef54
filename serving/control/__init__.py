"""The control plane: who is served what, and what was counted. Workers follow it; the keeper alone moves it."""

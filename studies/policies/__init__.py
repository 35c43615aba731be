"""The loops that join a policy, a selection problem and a solver."""

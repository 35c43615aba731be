"""Learned acquisition: what policies are trained on, and the loops that train and apply them."""

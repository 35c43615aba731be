"""Small pools and quick learners for campaigns."""

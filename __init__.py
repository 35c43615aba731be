"""labelcut: what to label next, with a proof."""

"""Ways in which measurements leave a machine: published, exported, audited, packed for a GPU, as reference curves."""

"""What a table of networks says of a statement: comparisons, curve shapes, sizes and sweeps."""

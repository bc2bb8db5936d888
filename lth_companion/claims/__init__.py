"""What the papers say (`claims.yaml`), the tests of each kind, and the verdicts."""

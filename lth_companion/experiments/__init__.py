"""What the papers trained, as rows: the catalogue of figures and its scales, XOR, and what a notebook asks for."""

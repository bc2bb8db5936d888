"""What trains networks: the dense engine on any device, the sparse one on a CPU."""

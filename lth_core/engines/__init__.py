"""What trains networks: the dense engine on any device, and on a CPU one for fully connected networks and one for
convolutional ones, for which sparsity pays. `choose` knows them all."""

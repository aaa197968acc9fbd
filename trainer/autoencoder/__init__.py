"""Our own autoencoder: its network, its training and how well it does; the KLT stands in frozen/."""

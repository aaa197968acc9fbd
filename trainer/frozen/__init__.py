"""What is not trained with the DiT: the autoencoder and the text encoder."""

"""What is not trained with the DiT: the autoencoder, the text encoder, and the closed-form fusion."""

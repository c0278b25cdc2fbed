"""Several processes under mlx.launch as one engine."""

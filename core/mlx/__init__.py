"""Everything that runs on the MLX thread, and the only importer of mlx, mlx_lm and mlx_vlm. Plain values leave here."""

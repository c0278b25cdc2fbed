"""The program that makes the pocket models: data, training, export, measurement. `python -m core.pocket.train -h`."""

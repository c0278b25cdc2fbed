"""The program that makes the pocket models: data, training, export and measurement. `python -m core.pocket.train -h`."""

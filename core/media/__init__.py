"""Images and sound as bytes: checked, fetched safely, wrapped into files."""

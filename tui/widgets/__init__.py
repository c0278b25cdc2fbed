"""The parts that panes are built from, one widget a module."""

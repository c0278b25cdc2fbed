"""The Hub in the workbench: models searched, looked at and downloaded, in the Models pane.

`core.hub` takes a third of a second to import and may wait for the network: it is imported and called on threads only.
"""

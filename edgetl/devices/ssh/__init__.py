"""A device over ssh.

`target` is what its file may say, `device` the `Device`. `connection` logs in and starts programs there, one of which is
`agent`: sent over, it keeps the device's cache and leaves nothing behind. `agent_client` talks to it, `running` to a model
that is measured.
"""

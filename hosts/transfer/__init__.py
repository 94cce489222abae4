"""The road of volumes' bytes between browsers, other servers and hosts, in constant memory."""

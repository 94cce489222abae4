"""Text consoles: one libvirt stream for each, carried by the gateway to as many browsers as look."""

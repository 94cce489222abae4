"""Making guests: what is asked for becomes a checked plan, and the plan a definition, volumes and a seed. No libvirt here."""

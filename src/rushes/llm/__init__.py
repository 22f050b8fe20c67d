"""Models that answer text: on a server or here, behind one Protocol."""

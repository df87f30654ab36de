"""Stand-ins for providers: real servers on loopback that count what they are handed and fail on demand."""

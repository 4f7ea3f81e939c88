"""Client protocols: WebSocket, Server-Sent Events and gRPC over one session."""

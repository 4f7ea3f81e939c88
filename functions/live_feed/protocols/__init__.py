"""What clients speak: WebSocket, Server-Sent Events and gRPC over one session."""

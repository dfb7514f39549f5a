//! Assembly: configuration, wiring and shutdown of the server.

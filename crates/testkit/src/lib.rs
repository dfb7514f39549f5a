//! Real control planes, running servers and simulations for tests.

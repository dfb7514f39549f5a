//! Namespaces: the four that always exist, and the emptying of those that go.

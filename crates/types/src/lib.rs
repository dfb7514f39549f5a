//! The product's Kubernetes kinds and API objects: plain data.

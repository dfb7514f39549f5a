//! Paths to a place inside an object, as they stand in error messages.
//!
//! A path is a chain of borrowed segments on the stack, so that walking an object allocates nothing until an error is
//! found. Printed as the API server does: `spec.containers[0].env`, map keys in brackets.

use std::fmt;

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

/// A place inside an object.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Self>,
    segment: Segment<'a>,
}

impl<'a> Path<'a> {
    /// The object itself; prints as `<nil>` on its own and adds nothing to its children.
    pub const ROOT: Path<'static> = Path {
        parent: None,
        segment: Segment::Root,
    };

    /// A path of one field; dots inside `name` are kept as they are.
    #[must_use]
    pub const fn field(name: &'a str) -> Self {
        Self {
            parent: None,
            segment: Segment::Field(name),
        }
    }

    /// The field `name` below this place: `.name`.
    #[must_use]
    pub const fn child(&'a self, name: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Field(name),
        }
    }

    /// The key `key` of the map at this place: `[key]`.
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }

    /// The item `index` of the list at this place: `[index]`.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// Whether this is the whole object.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        matches!(self.segment, Segment::Root)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
        let written = match self.parent {
            Some(parent) => parent.write(f)?,
            None => false,
        };
        match self.segment {
            Segment::Root => return Ok(written),
            Segment::Field(name) if written => write!(f, ".{name}")?,
            Segment::Field(name) => f.write_str(name)?,
            Segment::Key(key) => write!(f, "[{key}]")?,
            Segment::Index(index) => write!(f, "[{index}]")?,
        }
        Ok(true)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.write(f)? {
            f.write_str("<nil>")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_the_server_prints_them() {
        let spec = Path::ROOT.child("spec");
        let items = spec.child("items");
        let first = items.index(0);
        let labels = first.child("labels");
        assert_eq!(labels.key("a/b").to_string(), "spec.items[0].labels[a/b]");
        assert_eq!(Path::ROOT.to_string(), "<nil>");
        assert_eq!(Path::ROOT.index(3).child("x").to_string(), "[3].x");
        assert_eq!(Path::field("metadata.name").to_string(), "metadata.name");
    }
}

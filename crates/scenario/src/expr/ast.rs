//! The tree of an expression, as `parser.rs` makes it and `check.rs` reads it.

/// An expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    /// Byte offset of its first character in the text; of the operator, for binary ones.
    pub(crate) offset: usize,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Name(String),
    Member {
        of: Box<Expr>,
        name: String,
    },
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
    },
    /// `name(args)`, or `on.name(args)`.
    Call {
        on: Option<Box<Expr>>,
        name: String,
        args: Vec<Expr>,
    },
    Unary {
        op: &'static str,
        of: Box<Expr>,
    },
    Binary {
        op: &'static str,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Ternary {
        test: Box<Expr>,
        yes: Box<Expr>,
        no: Box<Expr>,
    },
}

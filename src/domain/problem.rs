/// What is wrong with one member of what a caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// A JSON Pointer (RFC 6901) into the request's body, e.g. `/credentials/baseUrl`.
    pub path: String,
    /// One sentence for the caller.
    pub detail: String,
}

impl FieldProblem {
    pub fn new(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), detail: detail.into() }
    }
}

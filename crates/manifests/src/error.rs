//! Why a run cannot be turned into objects. The operator shows the text in the run's conditions, `plimsoll render` on the terminal.

/// Why a run cannot be turned into objects.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The run is larger than a ConfigMap may be.
    #[error(
        "the resolved run takes {bytes} bytes ({largest} of them in {part}), and a ConfigMap holds {limit}: move large bodies, \
         tables and certificates into a ConfigMap or Secret and refer to them by vars[].valueFrom or data[].configMapKeyRef"
    )]
    TooLarge {
        /// What it takes.
        bytes: usize,
        /// Its largest part, by key.
        part: &'static str,
        /// Bytes of that part.
        largest: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The pod template sets something that is the operator's.
    #[error("spec.workers.template.{path}: {why}")]
    Template {
        /// Where, below `spec.workers.template`.
        path: String,
        /// Why it is refused and what to do.
        why: String,
    },
    /// The run has no name yet.
    #[error("metadata.name of the run is empty: give it a name, or create it before its objects are built")]
    NoName,
    /// A part of the plan cannot be written as JSON.
    #[error("{part} cannot be written as JSON: {error}")]
    Json {
        /// Which part.
        part: &'static str,
        /// Why.
        error: String,
    },
    /// A stored ConfigMap is not what was written.
    #[error("ConfigMap {name}: {why}; delete the run and create it again")]
    Broken {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

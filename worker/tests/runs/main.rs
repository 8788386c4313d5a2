//! Shares executed against the stand-in target: in process, over gRPC, and by the worker's own binary.

mod in_process;
mod pods;
mod rig;

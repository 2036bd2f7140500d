//! What the engine needs from others, as traits. The adapters live in rooms of their own.

pub mod clock;
pub mod model;
pub mod observer;
pub mod store;
pub mod tool;

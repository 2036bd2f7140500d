//! Doing things: the tools an agent may call.

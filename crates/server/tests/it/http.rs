//! The HTTP doors, by a real client over a real socket, with a scripted model behind them.

mod bad_input;
mod document;
mod openai;
mod ops;
mod rest;
mod support;

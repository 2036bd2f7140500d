//! The engine: the only place that joins the rest.

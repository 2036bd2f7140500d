//! What outlives a turn: sessions, runs, usage.

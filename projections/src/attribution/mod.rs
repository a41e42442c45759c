//! `attribution`: who won deals are credited to (F70, F71).

mod half_life;
pub mod models;

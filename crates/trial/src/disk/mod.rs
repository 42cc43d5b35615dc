//! A full disk: a small one is filled, held full and freed, again and again, while the real program works on
//! it. What is counted afterwards is counted by [`crate::check`].

mod ballast;
mod gate;
mod load;
mod play;
mod report;
mod small;
mod told;
mod web;

pub use play::{Disk, run};
pub use report::Report;
pub use small::on_small_disk;

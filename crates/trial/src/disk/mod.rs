//! A full disk: filled, held and freed, again and again, while the real program works on it.

mod gate;
mod play;
mod small;

pub use play::{Disk, Report, run, say};
pub use small::on_small_disk;

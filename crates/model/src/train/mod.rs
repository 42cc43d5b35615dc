//! Learning: rows to sparse features (`rows`), what is to be made small (`loss`), how (`lbfgs`), with
//! which penalties (`choose`), all together (`run`).

mod choose;
mod labels;
mod lbfgs;
mod loss;
mod options;
mod rows;
mod run;

pub use options::{Progress, TrainOptions};
pub use run::train;

pub use labels::Learner;

pub(crate) use labels::Truth;
pub(crate) use loss::{log_sum_exp, sigmoid};
pub(crate) use run::target;
